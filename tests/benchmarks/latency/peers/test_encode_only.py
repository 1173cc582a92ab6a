# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from stillflow_bench.latency.peers.encode_only import EncodeOnly, open_target, to_and_fro
from stillflow_bench.latency.peers.moving_scenes import scenes

FRAME = 96 * 64 * 3


def test_a_query_leaves_a_whole_loop_on_the_disk(spec_of, two_photos: str) -> None:
    spec = spec_of("encode", "B4.job")
    target = open_target(spec)
    answer = target.query(1)
    assert set(answer.spans) == {"stage encode", "stage fsync"}
    (path,) = Path(target._folder.name).iterdir()
    with av.open(str(path)) as file:
        shown = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    (scene,) = scenes((Path(two_photos) / "b.png",), spec.subject)
    assert len(shown) == scene.frames == 12
    assert np.abs(shown[5].astype(int) - scene.frame(5.0)).mean() < 8
    assert answer.digest() != target.query(0).digest()
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    assert target.facts.notes["frames_kept"] == 12
    assert len(set(target.facts.inputs)) == target.inputs == 2
    target.close()
    assert not path.exists()


def test_as_many_loops_as_are_asked_for(spec_of) -> None:
    target = open_target(spec_of("encode", "B4.job", photos=1))
    assert (target.inputs, target.facts.photos) == (1, ["a.png"])
    target.close()


def test_a_loop_that_does_not_fit_is_played_to_and_fro(spec_of) -> None:
    target = EncodeOnly(spec_of("encode", "B4.job"), most_bytes=4 * FRAME)
    assert (target.inputs, target.facts.notes["frames"], target.facts.notes["frames_kept"]) == (1, 12, 4)
    (loop,) = target._loops
    assert len(loop) == 12
    assert len({id(frame) for frame in loop}) == 4
    target.close()


@pytest.mark.parametrize(
    ("kept", "count", "order"),
    [(3, 9, [0, 1, 2, 1, 0, 1, 2, 1, 0]), (2, 5, [0, 1, 0, 1, 0]), (4, 4, [0, 1, 2, 3]), (1, 1, [0])],
)
def test_to_and_fro(kept: int, count: int, order: list[int]) -> None:
    frames = [np.array([k], np.uint8) for k in range(kept)]
    assert [int(frame[0]) for frame in to_and_fro(frames, count)] == order
