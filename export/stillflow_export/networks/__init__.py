# SPDX-License-Identifier: Apache-2.0
"""The networks of the default bundle, in PyTorch: plain layers only."""
