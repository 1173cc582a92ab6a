# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.build.plan import choose_library, input_shapes, plan_engines, settings_for
from stillflow.build.profile import Profile, Range, load_profile
from stillflow.bundle import Bundle
from stillflow.bundle.manifest import Graph, Manifest, Tensor
from stillflow.errors import StillflowError

L4 = load_profile("l4")


@pytest.fixture(scope="module")
def edge() -> Bundle:
    return Bundle.open("edge")


def graph(**changes: Any) -> Graph:
    photo = Tensor(name="photo", dtype="float32", shape=(1, 3, "height", "width"))
    context = Tensor(name="context", dtype="float32", shape=(1, 77, 768))
    half = Tensor(name="half", dtype="float32", shape=(1, 2, "height/2", "width/2"))
    base: dict[str, Any] = {"name": "g", "what": "", "file": "g.onnx", "sha256": "0" * 64, "opset": 18}
    return Graph(**(base | {"inputs": (photo, context, half), "outputs": (photo,)} | changes))


def test_the_shipped_bundle(edge: Bundle) -> None:
    plans = plan_engines(edge, load_profile("rtx-4090"), "tensorrt_rtx")
    assert [plan.graph for plan in plans] == ["flow", "generator"]
    for plan in plans:
        found = edge.graph(plan.graph)
        side = edge.manifest.long_side(found)
        assert side is not None
        for tensor in found.inputs:
            least, usual, most = plan.settings.shapes[tensor.name]
            assert least[2:] == (32, 32)
            assert usual[3] == most[3] == most[2] == side
            assert usual[2] < usual[3], "tuned for landscape"
        assert plan.onnx_sha256 == found.at(plan.precision).sha256  # type: ignore[union-attr]


@given(
    multiple=st.integers(1, 512),
    long_side=st.none() | st.integers(1, 4096),
    halo=st.none() | st.integers(0, 64),
)
def test_shapes_rise_divide_and_hold_what_the_bundle_names(
    multiple: int, long_side: int | None, halo: int | None
) -> None:
    one = graph(multiple=multiple, long_side=long_side, halo=halo)
    manifest = msgspec.structs.replace(Bundle.open("edge").manifest, graphs=(one,))
    shapes = input_shapes(manifest, one, L4)
    assert shapes["context"] == ((1, 77, 768),) * 3
    least, usual, most = shapes["photo"]
    for low, middle, high in zip(least, usual, most, strict=True):
        assert low <= middle <= high
    assert all(side % multiple == 0 for shape in (least, usual, most) for side in shape[2:])
    wanted = long_side or (L4.sizes.tile if halo is not None else L4.sizes.whole).max
    assert wanted <= most[2] == most[3] < wanted + multiple
    assert shapes["half"][2][2] == most[2] // 2 or most[2] == 1


def test_tiles_are_square_and_of_the_profiles_size(edge: Bundle) -> None:
    one = graph(multiple=4, halo=48)
    shapes = input_shapes(edge.manifest, one, L4)["photo"]
    assert [shape[2:] for shape in shapes] == [(32, 32), (512, 512), (640, 640)]


def test_rtx_takes_smaller_tiles_and_says_so(edge: Bundle) -> None:
    tile = Range(min=32, opt=512, max=1024)
    large = msgspec.structs.replace(L4, sizes=msgspec.structs.replace(L4.sizes, tile=tile))
    settings, notes = settings_for(edge.manifest, graph(multiple=4, halo=48), large, "tensorrt_rtx")
    assert [shape[2:] for shape in settings.shapes["photo"]] == [(32, 32), (512, 512), (640, 640)]
    assert "at most 640x640" in notes[0]
    settings, notes = settings_for(edge.manifest, graph(multiple=512, halo=48), large, "tensorrt_rtx")
    assert settings.shapes["photo"][2][2:] == (512, 512), "never more than the largest"
    settings, notes = settings_for(edge.manifest, graph(multiple=4, halo=48), large, "tensorrt")
    assert settings.shapes["photo"][2][2:] == (1024, 1024)
    assert not notes


def test_a_free_dimension_that_is_neither_height_nor_width(edge: Bundle) -> None:
    tokens = Tensor(name="context", dtype="float32", shape=(1, "tokens", 768))
    with pytest.raises(StillflowError, match="free dimension 'tokens'"):
        input_shapes(edge.manifest, graph(inputs=(tokens,)), L4)


def test_a_precision_the_profile_wishes_and_the_bundle_has_not(golden: Bundle) -> None:
    assert L4.precision == "fp16"
    (plan,) = plan_engines(golden, L4, "tensorrt_rtx")
    assert plan.precision == "fp32"
    assert any("wishes fp16" in note for note in plan.notes)
    with pytest.raises(StillflowError, match="has it at fp32") as caught:
        plan_engines(golden, L4, "tensorrt_rtx", precision="fp16")
    assert "--precision fp32" in caught.value.fix


def test_unknown_graph(golden: Bundle) -> None:
    with pytest.raises(StillflowError, match="has no graph 'flaw'"):
        plan_engines(golden, L4, "tensorrt_rtx", graphs=["flaw"])


def test_libraries_that_serve_a_device() -> None:
    assert choose_library(L4, None) == "tensorrt"
    assert choose_library(L4, "tensorrt_rtx") == "tensorrt_rtx"
    for name, library in (("jetson-thor", "tensorrt_rtx"), ("cpu", "tensorrt"), ("l4", "abacus")):
        with pytest.raises(StillflowError, match="is served by"):
            choose_library(load_profile(name), library)


def test_what_rtx_does_not_offer_is_noted_and_left_out(golden: Bundle) -> None:
    asked: Profile = msgspec.structs.replace(
        L4, version_compatible=True, hardware_compatibility="ampere_plus"
    )
    manifest: Manifest = golden.manifest
    settings, notes = settings_for(manifest, manifest.graphs[0], asked, "tensorrt_rtx")
    assert (settings.version_compatible, settings.hardware_compatibility) == (False, "none")
    assert settings.compute_capability == "8.9"
    assert len(notes) == 2
    settings, notes = settings_for(manifest, manifest.graphs[0], asked, "tensorrt")
    assert (settings.version_compatible, settings.hardware_compatibility) == (True, "ampere_plus")
    assert settings.compute_capability is None
    assert not notes
