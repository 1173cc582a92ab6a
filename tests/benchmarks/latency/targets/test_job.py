# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from pathlib import Path

import av
import pytest

from stillflow_bench.latency.target import open_target
from stillflow_bench.latency.targets.job import sync

from .conftest import Spec


def test_a_photo_file_becomes_a_video_file_and_nothing_stays(spec: Spec, tmp_path: Path) -> None:
    target = open_target(spec("job", "B4.job", {"folder": str(tmp_path)}))
    began = time.monotonic_ns()
    first = target.query(0)
    whole = time.monotonic_ns() - began
    stages = {name: taken for name, taken in first.spans.items() if name.startswith("stage ")}
    names = ("read", "motion", "assess", "scene", "video", "sync")
    assert set(stages) == {f"stage {name}" for name in names}
    assert 0 < first.spans["B0.device"] < first.spans["B2.call"] < sum(stages.values()) < whole
    (video,) = tmp_path.glob("*/lane-0.mp4")
    with av.open(str(video)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 8
    digests = []
    for answer in (first, target.query(1, lane=1), target.query(0)):
        assert answer.digest is not None
        digests.append(answer.digest())
    assert digests[0] == digests[2] != digests[1]
    assert target.facts.notes["moving_share"][2] is None
    assert all(0 <= share <= 1 for share in target.facts.notes["moving_share"][:2])
    assert len(set(target.facts.inputs)) == target.inputs == 3
    target.close()
    target.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "absent")
