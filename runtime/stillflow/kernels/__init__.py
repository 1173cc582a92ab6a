# SPDX-License-Identifier: Apache-2.0
"""Kernels: trace, fields, compose; displacements and the splat. Each as a readable reference and in C, some in CUDA."""
