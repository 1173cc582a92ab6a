# SPDX-License-Identifier: Apache-2.0
"""The CUDA layer: what a GPU is, its memory, streams, events, graphs and compiler; the rest of stillflow asks here."""
