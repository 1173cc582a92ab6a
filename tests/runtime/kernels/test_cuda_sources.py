# SPDX-License-Identifier: Apache-2.0
"""The CUDA sources say what the Python beside them says, and hold to what lets them run on a CPU too."""

from __future__ import annotations

import re

import pytest

from stillflow.features import gpu_encoder, gpu_painter, gpu_scratch
from stillflow.features.gpu_displacements import MOMENT_BYTES
from stillflow.gpu.compiled import source_text
from stillflow.kernels.cuda_splat import BLOCK, SOURCE, CWindow, Field, _Picture, _Values
from stillflow.kernels.splat_source import DENOMINATORS_MOST, LEAST_WEIGHT

ATOMICS = {"splat.cu": {"count + cell, 1u"}}
"""What is added atomically: integers, whose sum hangs on no order."""


@pytest.mark.parametrize("source", sorted(SOURCE.parent.glob("*.cu")), ids=lambda path: path.stem)
def test_no_float_is_added_atomically_and_no_thread_waits(source):
    text = re.sub(r"//.*", "", source_text(source))
    assert not re.findall(r"__syncthreads|__shared__|__shfl|__syncwarp", text)
    assert set(re.findall(r"atomic\w+\(([^)]*)\)", text)) == ATOMICS.get(source.name, set())


def test_constants_and_shapes_of_the_splat_are_those_of_its_source():
    text = SOURCE.read_text(encoding="utf-8")
    assert f"#define BLOCK {BLOCK}\n" in text
    assert f"#define DENOMINATORS_MOST {DENOMINATORS_MOST}\n" in text
    assert f"> {LEAST_WEIGHT:.0e}f".replace("e-08", "e-8") in text
    for structure, name in ((_Picture, "Picture"), (_Values, "Values"), (Field, "Field"), (CWindow, "Tile")):
        assert members(text, name) == [field for field, _ in structure._fields_]
    # Ten numbers, the shares first.
    assert members(text, "Moment")[0] == "share" and len(members(text, "Moment")) * 2 * 4 == MOMENT_BYTES


def test_constants_and_shapes_of_feature_scenes_are_those_of_their_source():
    text = gpu_encoder.SOURCE.read_text(encoding="utf-8")
    assert f"#define BLOCK {BLOCK}\n" in text and f"#define SIDE {gpu_scratch.SIDE}\n" in text
    shapes = (CWindow, "Window"), (gpu_encoder.Piece, "Piece")
    for structure, name in (*shapes, (gpu_scratch.Canvas, "Canvas"), (gpu_painter._Photo, "Photo")):
        assert members(text, name) == [field for field, _ in structure._fields_]


def members(text, name):
    """Names of a structure's members, in order."""
    body = re.search(rf"struct {name} {{(.*?)}};", text, re.DOTALL)
    assert body is not None
    return re.findall(r"\w+(?=[,;\[])", re.sub(r"//.*|\[\w+\]", "", body[1]))
