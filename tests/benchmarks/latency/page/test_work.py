# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stillflow.bundle import Bundle
from stillflow_bench.latency.inputs import network_inputs
from stillflow_bench.latency.page.work import frame_work, network_work
from stillflow_bench.latency.subject import Subject
from stillflow_bench.photos import scenery


@pytest.fixture(scope="module")
def told() -> tuple[str, dict[str, dict[str, list[int]]]]:
    """Hash of the shipped bundle, and the shapes that its networks take for a small picture."""
    with Bundle.open("edge") as bundle:
        inputs = network_inputs(bundle, scenery(320, 192))
        shapes = {g: {name: list(a.shape) for name, a in given.items()} for g, given in inputs.items()}
        return bundle.sha256, shapes


def test_networks_cost_the_same_for_all_that_run_them(
    make: Any, read: Callable[..., Any], facts: Any, told: tuple[str, Any]
) -> None:
    sha256, shapes = told
    known = msgspec.structs.replace(facts, hashes={"bundle": sha256}, notes={"shapes": shapes})
    made = make()
    made.block("ours", "networks", "B2.call", [5.0] * 9, facts=known)
    made.block("raw", "raw-onnxruntime", "B2.call", [5.0] * 9, role="limit")
    made.block("other", "published-torch", "B2.call", [5.0] * 9, role="peer")
    works = network_work(read(made).answered)
    assert set(works) == {"ours", "raw"}
    assert works["ours"] == works["raw"]
    assert works["ours"].operations > 1e8
    assert works["ours"].bytes > 1e6


@pytest.mark.parametrize(
    ("bundle", "sha256", "shapes"),
    [
        ("edge", "0" * 64, None),
        ("./edge", None, None),
        ("edge", None, {"flow": {"photo": ["x"]}}),
        ("edge", None, {"flow": {"nothing": [1]}}),
        ("edge", None, {"none": {}}),
        ("edge", None, {"flow": 3}),
        ("edge", None, 3),
    ],
)
def test_another_bundle_a_path_or_shapes_that_are_none_count_nothing(
    bundle: str,
    sha256: str | None,
    shapes: Any,
    make: Any,
    read: Callable[..., Any],
    facts: Any,
    told: tuple[str, Any],
) -> None:
    notes = {"shapes": told[1] if shapes is None else shapes}
    known = msgspec.structs.replace(facts, hashes={"bundle": sha256 or told[0]}, notes=notes)
    made = make()
    made.block("ours", "networks", "B2.call", [5.0] * 9, facts=known, subject=Subject(bundle=bundle))
    assert network_work(read(made).answered) == {}


def test_a_frame_moves_at_least_a_picture_in_and_one_out(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("next", "next", "B3.next", [5.0] * 9, subject=Subject(width=100, height=50))
    made.block("job", "job", "B4.job", [5.0] * 9)
    following, job = read(made).shown
    work = frame_work(following.block)
    assert work is not None
    assert work.bytes == 6 * 100 * 50
    assert frame_work(job.block) is None
