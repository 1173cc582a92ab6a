# SPDX-License-Identifier: Apache-2.0
"""Public checkpoints: read without trust, recognised by their tensors, and turned into our own weights."""
