# SPDX-License-Identifier: Apache-2.0
"""Kernels: trace, fields and compose, each as a readable NumPy reference and as C (``native``)."""
