# SPDX-License-Identifier: Apache-2.0
"""Many photos through one Animator: what the process holds must not grow with them.

Every photo is another one: another cut of a file, another size, seed, guidance, length and frame rate, so that
nothing that is kept by its key can hide that it is kept. Frames are played, and every tenth loop is saved.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stillflow.animator import Animator
from stillflow.guidance import Arrow, Guidance
from stillflow.photo import MIN_SIDE, Photo, load_photo
from stillflow.player import Player
from stillflow_bench import growth_plot
from stillflow_bench.growth import Growth, growth
from stillflow_bench.growth_plot import Series
from stillflow_bench.report import Row
from stillflow_bench.resources import DeviceMemory, Reading, python_threads, read

HOST_LIMIT = 8e3
"""Bytes a photo: 8 MB over 1,000 photos is less than the smallest thing that a photo makes, its fields (a photo of
256x170 has 22 kB in each), and more than an interval of 1,000 photos is wide."""

DEVICE_LIMIT = 16e3
"""Bytes a photo. A driver hands out memory in pieces of 2 MB: it shows as steps, one every 128 photos."""

COUNT_LIMIT = 0.02
"""Descriptors or threads a photo: one that stays every fiftieth photo."""

SAMPLES = 200
"""Looks at the process in a run, at most; each collects garbage."""

SHORTEST = 32
"""Pixels of a loop's shorter side, at least: rounded to whole pixels it still has the shape of the photo's mask."""

SAVED = (".mp4", ".gif", ".webm", ".webp", ".apng")
"""Formats that every tenth photo takes in turn; webm with alpha."""

Work = Callable[[int], None]
"""Does the unit of work of that number."""


@dataclass(frozen=True)
class Soaked:
    """What a soak saw.

    Attributes:
        done: units of work behind each sample.
        readings: as many.
        series: what of it was judged.
    """

    done: tuple[int, ...]
    readings: tuple[Reading, ...]
    series: tuple[Series, ...]

    @property
    def grows(self) -> tuple[str, ...]:
        """Names of what grows."""
        return tuple(one.name for one in self.series if one.growth.verdict == "grows")

    def rows(self, about: dict[str, object]) -> list[Row]:
        """Return rows of the suite "soak": each quantity's samples, and how fast it grows.

        Args:
            about: parameters of each row.
        """
        rows = []
        for one in self.series:
            values, told = tuple(one.values), {**about, "every": self.done[0]}
            rows.append(Row("soak", one.name, one.unit, values, told, part="samples", summary="largest"))
            rows.append(_growth_row(one, about))
        return rows

    @property
    def says(self) -> str:
        """What was found, in one line."""
        found = (f"{one.name} {one.growth.verdict} ({one.slope})" for one in self.series)
        return f"{self.done[-1]} photos: {', '.join(found)}"


def soak(
    work: Work,
    count: int,
    *,
    device_memory: DeviceMemory | None = None,
    host_limit: float = HOST_LIMIT,
    samples: int = SAMPLES,
    announce: Callable[[str], None] | None = None,
) -> Soaked:
    """Do work again and again and judge what the process holds.

    Args:
        work: called with 0, 1, ... count - 1.
        count: units of work, >= 12: with fewer the warm-up leaves too little to judge.
        device_memory: asks a device.
        host_limit: bytes of host memory a unit from which on it counts as growth.
        samples: looks at the process, at most.
        announce: told of the progress, ten times.

    Raises:
        StillflowError: the system does not say what the process holds.
    """
    if count < 12:
        raise ValueError(f"a soak takes 12 units of work or more, not {count}")
    every = -(-count // samples)
    tenth = max(1, count // 10)
    done, readings = [], []
    for index in range(count):
        work(index)
        if (index + 1) % every == 0:
            done.append(index + 1)
            readings.append(read(device_memory))
        if announce is not None and (index + 1) % tenth == 0 and readings:
            announce(f"{index + 1} of {count}: {readings[-1].host / 1e6:.1f} MB, threads {python_threads()}")
    return Soaked(tuple(done), tuple(readings), tuple(_series(done, readings, host_limit)))


def photo_work(
    photos: Sequence[Path], animator: Animator, folder: Path, *, size: int, seed: int = 0, frames: int = 3
) -> Work:
    """Make the work of one photo: a cut of a file through the animator, frames played, some loops saved.

    Every other loop is closed, the rest are let go; on a GPU some frames are looked at where they are made.

    Args:
        photos: picture files, taken in turn.
        animator: one for all of them.
        folder: where loops are saved, and deleted again.
        size: longest side of the loops, pixels; most have half of it at least, narrow ones more.
        seed: of all that is drawn.
        frames: played of each loop.
    """

    def work(index: int) -> None:
        rng = np.random.default_rng((seed, index))
        photo = _cut(load_photo(photos[index % len(photos)]), rng)
        sides = sorted((photo.height, photo.width))
        least = max(size // 2, math.ceil(SHORTEST * sides[1] / sides[0]))
        longest = int(rng.integers(least, max(least, size) + 1))
        seconds, fps = float(rng.choice((0.5, 1.0, 1.5))), float(rng.choice((8.0, 10.0, 12.0)))
        loop = animator.animate(photo, _guidance(rng, photo, index), seconds=seconds, fps=fps, size=longest)
        for t in rng.integers(0, len(loop), frames):
            loop.frame(int(t))
        if index % 10 == 5:
            for _ in Player(loop.scene, lanes=2).frames(reuse=True):
                pass
        if index % 10 == 3 and animator.choice.frames != "cpu":
            for _ in loop.device_frames(nv12=bool(index % 20 == 3)):
                pass
        if index % 10 == 0:
            suffix = SAVED[index // 10 % len(SAVED)]
            path = folder / f"loop{suffix}"
            loop.save(path, alpha=suffix == ".webm", loops=1)
            path.unlink()
        if index % 2:
            loop.close()

    return work


def device_memory(animator: Animator) -> DeviceMemory | None:
    """What asks the GPU that an animator uses; None where it uses none."""
    places = [place for place in (animator.choice.device, animator.choice.frames) if place != "cpu"]
    if not places:
        return None
    from stillflow.gpu.shared import shared_device

    return shared_device(int(places[0].removeprefix("cuda:"))).memory


def measure(
    photos: Sequence[Path],
    animator: Animator,
    *,
    count: int,
    size: int,
    plot: Path | None = None,
    announce: Callable[[str], None] | None = None,
) -> tuple[Soaked, list[Row]]:
    """Soak an animator with photos.

    Args:
        photos: picture files, at least one.
        animator: one for all of them.
        count: photos in all, >= 12.
        size: longest side of the loops, pixels.
        plot: a .png file for the curves.
        announce: told of the progress, ten times.

    Returns:
        What was seen, and rows of the suite "soak".
    """
    with tempfile.TemporaryDirectory(prefix="stillflow-soak-") as name:
        work = photo_work(photos, animator, Path(name), size=size)
        found = soak(work, count, device_memory=device_memory(animator), announce=announce)
    if plot is not None:
        growth_plot.write(plot, found.done, found.series)
    chosen = animator.choice
    about: dict[str, object] = {
        "count": count,
        "size": size,
        "files": [path.name for path in photos],
        "engine": chosen.engine,
        "device": chosen.place,
        "frames": chosen.frames,
    }
    return found, found.rows(about)


def _series(done: Sequence[int], readings: Sequence[Reading], host_limit: float) -> Iterator[Series]:
    def judged(values: Sequence[float], limit: float) -> Growth:
        return growth(done, values, limit)

    host = [reading.host / 1e6 for reading in readings]
    yield Series("host memory", "MB", host, judged(host, host_limit / 1e6), "kB a photo", 1e3)
    device = [reading.device / 1e6 for reading in readings if reading.device is not None]
    if device:
        yield Series("device memory", "MB", device, judged(device, DEVICE_LIMIT / 1e6), "kB a photo", 1e3)
    for name in ("descriptors", "threads"):
        counted = [float(getattr(reading, name)) for reading in readings]
        yield Series(name, "", counted, judged(counted, COUNT_LIMIT), "a photo")


def _growth_row(one: Series, about: dict[str, object]) -> Row:
    found, scale = one.growth, one.scale
    ends = [found.low * scale, found.high * scale]
    told = {
        **about,
        "verdict": found.verdict,
        "interval": [end if np.isfinite(end) else None for end in ends],
    }
    name, limit = f"growth of {one.name}", found.limit * scale
    if found.verdict == "cannot tell":
        why = f"{found.slope * scale:.3g} {one.each} lies within {ends[0]:.3g} .. {ends[1]:.3g}: take more photos"
        return Row("soak", name, one.each, (), told, limit, part="growth", missing=why)
    aim = f"99 % interval {ends[0]:.3g} .. {ends[1]:.3g}"
    return Row("soak", name, one.each, (found.slope * scale,), told, limit, part="growth", aim=aim)


def _cut(photo: Photo, rng: np.random.Generator) -> Photo:
    """Cut half of each side or more out of a photo."""
    rows, columns = (
        int(rng.integers(max(MIN_SIDE, side // 2), side + 1)) for side in (photo.height, photo.width)
    )
    top = int(rng.integers(0, photo.height - rows + 1))
    left = int(rng.integers(0, photo.width - columns + 1))
    return Photo.from_array(photo.pixels[top : top + rows, left : left + columns])


def _guidance(rng: np.random.Generator, photo: Photo, seed: int) -> Guidance:
    """Draw nothing, a strength, a mask, or arrows; always another seed."""
    kind = int(rng.integers(0, 4))
    if kind == 1:
        return Guidance(strength=float(rng.uniform(0.3, 1.5)), seed=seed)
    if kind == 2:
        mask = np.zeros((photo.height, photo.width), np.uint8)
        mask[round(photo.height * rng.uniform(0.1, 0.6)) :, : round(photo.width * rng.uniform(0.3, 1))] = 255
        return Guidance(mask=mask, seed=seed)
    if kind == 3:
        x, y = rng.uniform(0.2, 0.8, 2)
        return Guidance(arrows=(Arrow(float(x), float(y), float(x), float(y) + 0.15),), seed=seed)
    return Guidance(seed=seed)
