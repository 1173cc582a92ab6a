# SPDX-License-Identifier: Apache-2.0
"""Trained networks become bundles: PyTorch to ONNX, gates with receipts, the bundle writer."""
