# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from stillflow_bench.latency.inputs import PHOTOS
from stillflow_bench.latency.peers.moving_scenes import frame_bytes, held_photos, scenes
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.targets.moving import moving_share


@pytest.mark.parametrize(("room", "count"), [(0, 1), (100, 1), (550, 5), (3200, 32), (9999, 32)])
def test_as_many_photos_as_fit(room: int, count: int) -> None:
    found = held_photos(TargetSpec("copy", "B3.next"), 100, room)
    assert len(set(found)) == count
    assert set(found) <= set(PHOTOS.glob("*.webp"))
    assert list(found) == sorted(found)


def test_the_share_that_is_asked_for_moves(two_photos: str) -> None:
    subject = Subject(width=96, height=64, moving=0.5, seconds=1.0, fps=12.0)
    (scene,) = scenes((Path(two_photos) / "a.png",), subject)
    assert (scene.width, scene.height, scene.frames) == (96, 64, 12)
    assert moving_share(scene.matte) == pytest.approx(0.5, abs=0.1)
    assert frame_bytes(subject) == scene.arrays.photo.nbytes


def test_the_networks_say_what_moves_where_no_share_is_named(two_photos: str) -> None:
    subject = Subject(width=96, height=64, seconds=1.0, fps=12.0)
    (scene,) = scenes((Path(two_photos) / "a.png",), subject)
    assert scene.frames == 12
    assert scene.matte.shape == (64, 96)
