# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stillflow.animator import Animator
from stillflow_bench import cli
from stillflow_bench import soak as suite
from stillflow_bench.soak import measure, photo_work, soak

if not Path("/proc/self/status").is_file():
    pytest.skip("there is no /proc here", allow_module_level=True)


@pytest.fixture(autouse=True)
def _little_to_collect() -> Iterator[None]:
    """What other tests have loaded is not looked through at every sample."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def busy(index: int) -> None:
    """Takes memory of very different sizes and gives it back, as a photo does."""
    rng = np.random.default_rng(index)
    for size in rng.integers(1_000, 3_000_000, 4):
        np.full(int(size), 1, np.uint8)


def test_a_leak_of_20_kb_a_photo_is_found() -> None:
    kept: list[mmap.mmap] = []

    def leak(index: int) -> None:
        busy(index)
        # Five pages of the system's: what earlier tests left free in the heap would swallow a leak for a while.
        kept.append(mmap.mmap(-1, 5 * mmap.PAGESIZE))
        kept[-1].write(bytes([index % 251 + 1]) * 5 * mmap.PAGESIZE)

    found = soak(leak, 320, samples=64)
    assert found.grows == ("host memory",)
    assert 15e-3 < found.series[0].growth.slope < 25e-3


def test_work_that_gives_everything_back_is_steady() -> None:
    found = soak(busy, 320, samples=64)
    assert [one.growth.verdict for one in found.series] == ["steady"] * 3


def test_files_that_stay_open_are_found(tmp_path: Path) -> None:
    held = []
    try:
        found = soak(lambda k: held.append(os.open(tmp_path, os.O_RDONLY)), 40)
    finally:
        for one in held:
            os.close(one)
    assert "descriptors" in found.grows
    assert found.series[1].growth.slope == 1


@pytest.mark.device
def test_device_memory_that_is_kept_is_found(cuda_device) -> None:  # type: ignore[no-untyped-def]
    held = []
    try:
        found = soak(
            lambda k: held.append(cuda_device.allocate(2 << 20)), 40, device_memory=cuda_device.memory
        )
    finally:
        for one in held:
            one.close()
    assert "device memory" in found.grows
    again = soak(lambda k: cuda_device.allocate(2 << 20).close(), 40, device_memory=cuda_device.memory)
    assert "device memory" not in again.grows


def test_progress_is_told_ten_times() -> None:
    told: list[str] = []
    soak(lambda _: None, 40, announce=told.append)
    assert len(told) == 10
    assert told[-1].startswith("40 of 40: ")
    with pytest.raises(ValueError, match="12 units"):
        soak(lambda _: None, 11)


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator(device="cpu")


def test_photos_leave_nothing_behind_in_memory_on_disk_or_in_threads(
    animator: Animator, sample_photo: Path, tmp_path: Path
) -> None:
    # What is loaded and kept once: networks, a GIF's encoder, the buffers of NumPy's matrix products.
    photo_work([sample_photo], animator, tmp_path, size=96, seed=1)(10)
    assert (np.ones((16384, 3), np.float32) @ np.ones((3, 255), np.float32)).all()
    found, rows = measure([sample_photo], animator, count=12, size=96, plot=tmp_path / "soak.png")
    first, last = found.readings[3], found.readings[-1]
    assert (last.descriptors, last.threads) == (first.descriptors, first.threads)
    # The photo as it is read has 2.8 MB, and eight of them 22; what glibc keeps for a thread that is new has 11.
    assert last.host - first.host < 16e6
    assert [path.name for path in tmp_path.iterdir()] == ["soak.png"]
    assert [row.part for row in rows] == ["samples", "growth"] * 3
    assert rows[1].missing and rows[1].parameters["verdict"] == "cannot tell"
    assert rows[0].parameters["frames"] == "cpu" and len(rows[0].samples) == 12


def test_no_two_photos_of_a_soak_are_alike(
    animator: Animator, sample_photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    loop = animator.animate(sample_photo, size=64, seconds=0.5, fps=8)
    monkeypatch.setattr(
        animator, "animate", lambda photo, hints, **how: (asked.append((photo, hints, how)), loop)[1]
    )
    work = photo_work([sample_photo], animator, tmp_path, size=64)
    for index in range(1, 10):
        work(index)
    shapes = {(photo.pixels.shape, how["size"], hints.seed) for photo, hints, how in asked}
    assert len(shapes) == 9
    assert any(hints.mask is not None for _, hints, _ in asked)
    assert any(hints.arrows for _, hints, _ in asked)
    again = photo_work([sample_photo], animator, tmp_path, size=64)
    again(3)
    assert np.array_equal(asked[2][0].pixels, asked[-1][0].pixels)


def test_the_command_ends_with_1_when_it_grows(
    sample_photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(suite, "photo_work", lambda *_, **__: lambda k: kept.append(b"y" * 300_000))
    command = ["soak", str(sample_photo), "--photos", "60", "--device", "cpu"]
    grown = CliRunner().invoke(cli.program, [*command, "-o", str(tmp_path)])
    assert grown.exit_code == 1, grown.output
    assert "| growth | growth of host memory |" in grown.output
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".png"}
    monkeypatch.setattr(suite, "photo_work", lambda *_, **__: lambda k: None)
    calm = CliRunner().invoke(cli.program, [*command, "--json"])
    assert calm.exit_code == 0, calm.output
    told = json.loads(calm.stdout.splitlines()[-1])
    assert told["grows"] == []
    assert told["says"].startswith("60 photos: host memory ")


def test_the_command_says_when_there_is_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillflow_bench.photos.sample_photos", tuple)
    monkeypatch.setattr("stillflow_bench.photos.data_photos", lambda _: ())
    done = CliRunner().invoke(cli.program, ["soak"])
    assert "no photo to measure" in str(done.exception)
