# SPDX-License-Identifier: Apache-2.0
"""Baked scenes: everything that a loop needs after the networks ran, in one file (docs/sflow.md)."""

from stillflow.baked.reader import Baked, read_baked
from stillflow.baked.writer import write_scene

__all__ = ["Baked", "read_baked", "write_scene"]
