# SPDX-License-Identifier: Apache-2.0
"""Kernels: trace, fields and compose; displacements and the splat. Each as a readable reference and as C, some in CUDA."""
