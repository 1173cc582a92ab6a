# SPDX-License-Identifier: Apache-2.0
"""A run's folder holds one run, nothing else in it is touched, and packing is the same every time."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.plan import Plan
from stillflow_bench.latency.run_folder import own_folder, pack, prepare, receipt_path, write_receipts
from stillflow_bench.latency.sample import Sample, read_hashed, read_samples, write_samples

SAMPLES = [Sample(index, "measured", 0, index, index + 1) for index in range(100)]


def test_a_folder_is_named_or_made_up(tmp_path: Path) -> None:
    assert own_folder(tmp_path, None, Plan("own", ())) == tmp_path
    made = own_folder(None, tmp_path, Plan("own", ()))
    assert made.parent == tmp_path and re.fullmatch(r"[a-z0-9-]+-\d+core-\d{4}-\d\d-\d\d-own", made.name)
    for out, into in ((None, None), (tmp_path, tmp_path)):
        with pytest.raises(StillflowError, match="where to write"):
            own_folder(out, into, Plan("own", ()))


@pytest.mark.parametrize(
    "name", ["result.json", "telemetry.jsonl", "comparison.json", "samples/a.jsonl", "samples/a.jsonl.gz"]
)
def test_a_run_is_not_overwritten_unless_told(tmp_path: Path, name: str) -> None:
    prepare(tmp_path / "run", overwrite=False)
    old, photo = tmp_path / "run" / name, tmp_path / "run" / "samples" / "photo.jpg"
    for path in (old, photo):
        path.write_text("x")
    with pytest.raises(StillflowError, match="there is one"):
        prepare(tmp_path / "run", overwrite=False)
    assert old.exists()
    prepare(tmp_path / "run", overwrite=True)
    assert photo.exists() and not (old.exists() and old.read_bytes())


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StillflowError, match="cannot write a run"):
        prepare(tmp_path / "file" / "run", overwrite=True)


@pytest.mark.parametrize("part", ["samples", "receipts"])
def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path, part: str) -> None:
    """Whoever made it could have files removed that are not of a run."""
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "list.jsonl").touch()
    (tmp_path / "run" / part).symlink_to(tmp_path / "mine")
    with pytest.raises(StillflowError, match=f"{part} leads out of it"):
        prepare(tmp_path / "run", overwrite=True)
    assert (tmp_path / "mine" / "list.jsonl").exists()


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").write_text("x")
    for name in ("result.json", ".result.json.probe", "telemetry.jsonl"):
        (tmp_path / "run" / name).symlink_to(tmp_path / "mine")
    prepare(tmp_path / "run", overwrite=True)
    assert (tmp_path / "mine").read_text() == "x"
    telemetry = tmp_path / "run" / "telemetry.jsonl"
    assert not telemetry.is_symlink() and telemetry.read_text() == ""


def test_of_two_runs_that_begin_at_once_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))  # the other wrote nothing yet
    prepare(tmp_path / "run", overwrite=False)
    with pytest.raises(StillflowError, match="another run begins in it"):
        prepare(tmp_path / "run", overwrite=False)


def test_receipts_are_files_inside_the_folder(tmp_path: Path) -> None:
    written = write_receipts(
        tmp_path, "frame", {"../../flow": {"passed": True}, "generator": {"b": 1, "a": 2}}
    )
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == [
        "receipts/frame-flow.json",
        "receipts/frame-generator.json",
    ]
    assert json.loads(written[0].read_text()) == {"passed": True}
    assert written[1] == receipt_path(tmp_path, "frame", "generator")
    assert write_receipts(tmp_path / "other", "frame", {}) == []
    assert not (tmp_path / "other").exists()


def test_packed_samples_are_the_same_samples(tmp_path: Path) -> None:
    packed = []
    for name in ("a", "b"):
        path = tmp_path / name / "samples" / "block.jsonl"
        write_samples(path, SAMPLES)
        before = read_hashed(path)[1]
        pack(tmp_path / name)
        assert not path.exists()
        gz = path.with_name("block.jsonl.gz")
        assert read_samples(gz) == SAMPLES and read_hashed(gz)[1] == before
        packed.append(gz.read_bytes())
    assert packed[0] == packed[1]
    assert [path.name for path in (tmp_path / "a" / "samples").iterdir()] == ["block.jsonl.gz"]
    assert gzip.decompress(packed[0]).count(b"\n") == 100
