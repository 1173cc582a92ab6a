# SPDX-License-Identifier: Apache-2.0
"""Procedural scenes: surfaces whose motion is known exactly, between real photos behind and in front of them."""

from stillflow_training.procedural.batch import (
    FLOW_KINDS,
    KIND_CLASS,
    KINDS,
    SWAY_KINDS,
    SceneBatch,
    draw_scenes,
)
from stillflow_training.procedural.pictures import Pictures
from stillflow_training.procedural.single import ProceduralScene, make_scene, smooth_noise

__all__ = [
    "FLOW_KINDS",
    "KINDS",
    "KIND_CLASS",
    "SWAY_KINDS",
    "Pictures",
    "ProceduralScene",
    "SceneBatch",
    "draw_scenes",
    "make_scene",
    "smooth_noise",
]
