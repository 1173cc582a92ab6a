# SPDX-License-Identifier: Apache-2.0
"""The published networks of the Eulerian-motion family, in PyTorch: plain layers, constants folded beforehand."""
