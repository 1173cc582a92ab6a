# SPDX-License-Identifier: Apache-2.0
"""Baked scenes: everything that a loop needs after the networks ran, in one file (docs/sflow.md)."""

from stillflow.baked.reader import Baked, decode_baked, read_baked
from stillflow.baked.writer import scene_bytes, write_scene

__all__ = ["Baked", "decode_baked", "read_baked", "scene_bytes", "write_scene"]
