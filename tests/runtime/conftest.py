# SPDX-License-Identifier: Apache-2.0
"""Pictures, good and bad, that many tests of the runtime need."""

from __future__ import annotations

import importlib.util
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.kernels.arrays import ByteArray


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture
def scenery() -> ByteArray:
    """(96, 128, 3) uint8: sky over water, with texture, the same every time."""
    rng = np.random.default_rng(7)
    rows = np.linspace(0, 1, 96)[:, None, None]
    sky, water = np.array([120, 160, 220]), np.array([40, 90, 120])
    base = np.where(rows < 0.5, sky + 60 * rows, water + 50 * (rows - 0.5))
    noise = rng.normal(0, 12, (96, 128, 1)) * (rows > 0.5)
    return np.clip(base + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def photo_file(tmp_path: Path, scenery: ByteArray) -> Path:
    """A small sound PNG photo."""
    path = tmp_path / "photo.png"
    Image.fromarray(scenery).save(path)
    return path


@pytest.fixture
def png_bomb(tmp_path: Path) -> Path:
    """A PNG of a few hundred bytes whose header announces 30000 x 30000 pixels."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(64))) + _chunk(b"IEND", b"")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.fixture
def bad_pictures(tmp_path: Path, photo_file: Path, png_bomb: Path) -> dict[str, Path]:
    """Name of the trouble -> a file that has it."""
    files: dict[str, Path] = {"bomb": png_bomb, "missing": tmp_path / "nowhere.jpg"}

    def add(name: str, data: bytes, suffix: str = ".png") -> None:
        files[name] = tmp_path / f"{name}{suffix}"
        files[name].write_bytes(data)

    add("empty", b"")
    add("text", b"this is not a picture at all\n" * 4, ".jpg")
    add("truncated", photo_file.read_bytes()[: photo_file.stat().st_size // 2])
    add("head_only", photo_file.read_bytes()[:20])
    files["folder"] = tmp_path / "folder.jpg"
    files["folder"].mkdir()
    for name, size in (("one_pixel", (1, 1)), ("narrow", (15, 400))):
        files[name] = tmp_path / f"{name}.png"
        Image.new("RGB", size, (9, 9, 9)).save(files[name])
    return files


@pytest.fixture(scope="session")
def default_bundle() -> Path:
    """The shipped bundle; a test that needs it fails, not skips, when it is not there."""
    if importlib.util.find_spec("stillflow_engines") is None:
        pytest.fail("the package stillflow_engines is not installed: run make test, or pip install -e .")
    from stillflow_engines import bundle_names, bundle_path

    if "edge" not in bundle_names():
        pytest.fail("engines/stillflow_engines/edge holds no manifest.json: the default bundle is missing")
    return Path(bundle_path("edge"))


@pytest.fixture
def leftovers(tmp_path: Path) -> Callable[[], set[str]]:
    """Call it after a failed command: names that appeared in tmp_path since the fixture was made."""
    before = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    return lambda: {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")} - before
