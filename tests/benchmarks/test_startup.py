# SPDX-License-Identifier: Apache-2.0
"""One process of each kind, on a small picture: that the readings are there and in order, not how fast they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillflow_bench import startup
from stillflow_bench.photos import scenery, write_photo


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photo(scenery(160, 96), tmp_path_factory.mktemp("photo") / "small.jpg")


def test_first_frame_readings_follow_each_other(small: Path) -> None:
    found = startup.probe("frame", str(small))
    assert 0 < found["imported"] < found["animated"] <= found["first"] < found["second"]
    assert found["peak_bytes"] > 20e6
    assert {"stage_motion", "stage_scene"} <= set(found)


def test_whole_job_leaves_its_file(small: Path, tmp_path: Path) -> None:
    found = startup.probe("job", str(small), str(tmp_path / "loop.mp4"))
    assert found["done"] > 0
    assert (tmp_path / "loop.mp4").stat().st_size > 1000


def test_a_failed_process_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"nowhere\.jpg"):
        startup.probe("frame", str(tmp_path / "nowhere.jpg"))
