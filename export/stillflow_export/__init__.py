# SPDX-License-Identifier: Apache-2.0
"""Trained networks become bundles: PyTorch to ONNX, gates with receipts, the bundle writer."""

import stillflow  # noqa: F401, before ONNX Runtime: it switches telemetry off
