# SPDX-License-Identifier: Apache-2.0
"""Bad places, full disks, closed pipes, interruptions: one clear error and nothing half-made."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.video import FORMATS, format_of, open_sink, record

NAMES = ["loop.mp4", "loop.webm", "loop.webp", "loop.gif", "loop.apng", "loop.rgb", "frames/", "f_%d.png"]


def opening(path: Path | str, **options: Any) -> Any:
    return open_sink(path, **{"width": 32, "height": 24, "fps": 30, **options})


def picture(value: int = 90) -> np.ndarray:
    return np.full((24, 32, 3), value, np.uint8)


def noise(index: int, height: int = 128, width: int = 128) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_appears_before_close_nor_after_abort(name: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    sink = opening(os.path.join(place, name))
    sink.write(picture())
    assert all(entry.name.startswith(".") for entry in place.iterdir()), "hidden until complete"
    sink.abort()
    assert list(place.iterdir()) == []
    sink.abort()
    with pytest.raises(ValueError, match="closed"):
        sink.write(picture())
    with pytest.raises(ValueError, match="aborted"):
        sink.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [0, 2])
def test_interruption_leaves_nothing(name: str, at: int, tmp_path: Path, film: Any) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > at:
            raise KeyboardInterrupt

    sink = open_sink(os.path.join(tmp_path, name), width=film.width, height=film.height, fps=30)
    with pytest.raises(KeyboardInterrupt):
        record(film, sink, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["loop.mp4", "loop.gif", "frames/"])
def test_failing_scene_leaves_nothing(name: str, tmp_path: Path, film: Any) -> None:
    def broken(t: float, y0: int, y1: int, out: np.ndarray) -> None:
        raise RuntimeError("bug")

    film.frame_rows = broken
    sink = open_sink(os.path.join(tmp_path, name), width=film.width, height=film.height, fps=30)
    with pytest.raises(RuntimeError, match="bug"):
        record(film, sink)
    assert list(tmp_path.iterdir()) == []


def test_old_file_survives_an_abort_and_is_replaced_by_a_close(tmp_path: Path) -> None:
    path = tmp_path / "loop.gif"
    path.write_bytes(b"old")
    path.chmod(0o640)
    sink = opening(path)
    sink.write(picture())
    sink.abort()
    assert path.read_bytes() == b"old"
    with opening(path) as sink:
        sink.write(picture())
    assert path.read_bytes()[:3] == b"GIF"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_close_twice_and_size(tmp_path: Path) -> None:
    sink = opening(tmp_path / "loop.mp4")
    sink.write(picture())
    size = sink.close()
    assert size == sink.close() == (tmp_path / "loop.mp4").stat().st_size
    sink.abort()
    assert (tmp_path / "loop.mp4").exists(), "abort after close is harmless"


def test_no_frame_at_all(tmp_path: Path) -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match="no frame"), opening(os.path.join(tmp_path, name)):
            pass
    assert list(tmp_path.iterdir()) == []


def test_new_file_obeys_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with opening(tmp_path / "loop.rgb") as sink:
            sink.write(picture())
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "loop.rgb").stat().st_mode) == 0o640


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.rgb").symlink_to(tmp_path / "real" / "loop.rgb")
    with opening(tmp_path / "link.rgb") as sink:
        sink.write(picture())
    assert (tmp_path / "link.rgb").is_symlink()
    assert (tmp_path / "real" / "loop.rgb").stat().st_size == 24 * 32 * 3


@pytest.mark.parametrize("name", NAMES)
def test_missing_folder(name: str, tmp_path: Path) -> None:
    target = os.path.join(tmp_path, "no", "such", name)
    with pytest.raises(StillflowError) as caught:
        opening(target)
    assert "does not exist" in caught.value.why
    assert target.rstrip("/") in caught.value.what


@pytest.mark.parametrize("name", ["loop.mp4", "loop.gif", "loop.rgb"])
def test_a_folder_in_the_way(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(StillflowError, match="folder"):
        opening(tmp_path / name)
    assert list((tmp_path / name).iterdir()) == []


def test_sequence_wants_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with opening(f"{tmp_path}/empty/") as sink:
        sink.write(picture())
    with pytest.raises(StillflowError, match="empty"):
        opening(f"{tmp_path}/empty/")
    assert [entry.name for entry in (tmp_path / "empty").iterdir()] == ["frame_0000.png"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write to a read-only folder")
@pytest.mark.parametrize("name", NAMES)
def test_read_only_folder(name: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StillflowError, match="may not write"):
            opening(os.path.join(tmp_path, name))
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only")])
def test_refusals_of_the_system(error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> int:
        raise error

    monkeypatch.setattr("stillflow.video.destination.os.open", refuse)
    with pytest.raises(StillflowError) as caught:
        opening(tmp_path / "loop.mp4")
    assert "write to a folder you own" in caught.value.fix


LIMITED = """
import resource, sys
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from stillflow.errors import StillflowError
from stillflow.video import open_sink
rng = np.random.default_rng(0)
frames = rng.integers(0, 256, (40, 96, 96, 3), np.uint8)
for name in sys.argv[2:]:
    try:
        with open_sink(sys.argv[1] + "/" + name, width=96, height=96, fps=30) as sink:
            for frame in frames:
                sink.write(frame)
    except StillflowError as error:
        print(name, "|", error.why)
    else:
        print(name, "| was written")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="file size limits are tried on Linux")
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    names = [name for name in NAMES if name != "f_%d.png"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), *names], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answers = dict(line.split(" | ") for line in done.stdout.splitlines())
    assert set(answers) == set(names)
    assert all("larger than" in why or "full" in why for why in answers.values()), answers
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("format", ["raw", "mp4", "gif", "apng"])
def test_full_device(format: str) -> None:
    def write() -> None:
        with opening("/dev/full", format=format) as sink:
            for index in range(3):
                sink.write(noise(index, 24, 32))

    with pytest.raises(StillflowError, match="disk is full"):
        write()
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode), "a device is never replaced by a file"


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
@pytest.mark.parametrize("format", ["raw", "mp4"])
def test_named_pipe(format: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        with opening(pipe, format=format) as sink:
            sink.write(picture(9))
        data, _ = reader.communicate(timeout=20)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert data == picture(9).tobytes() if format == "raw" else data[4:8] == b"ftyp"


STREAM = """
import sys
import numpy as np
from stillflow.errors import StillflowError
from stillflow.video import open_sink
frames, loops, form = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
try:
    with open_sink("-", width=64, height=48, fps=30, format=form, loops=loops) as sink:
        for index in range(frames):
            sink.write(np.full((48, 64, 3), index, np.uint8))
except StillflowError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


@pytest.mark.parametrize("loops", [1, 3])
def test_raw_to_standard_output(loops: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STREAM, "5", str(loops), "raw"], capture_output=True, timeout=60, check=True
    )
    frames = np.frombuffer(done.stdout, np.uint8).reshape(5 * loops, -1)
    assert (frames == np.tile(np.arange(5), loops)[:, None]).all()


def test_file_format_to_standard_output() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STREAM, "5", "1", "gif"], capture_output=True, timeout=60, check=True
    )
    assert done.stdout[:6] == b"GIF89a" and done.stdout[-1:] == b";"


def test_reader_that_leaves() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STREAM, "100", "1", "raw"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stderr is not None
        writer.stdout.read(100)
        writer.stdout.close()
        message = writer.stderr.read().decode()
    assert writer.returncode == 2
    assert "has ended" in message and "Traceback" not in message


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("a.mp4", "mp4"), ("A.MP4", "mp4"), ("a.webm", "webm"), ("a.webp", "webp"), ("a.gif", "gif"),
        ("a.apng", "apng"), ("a.png", "apng"), ("f%03d.png", "png"), ("out/", "png"), ("-", "raw"), ("a.rgb", "raw"),
    ],
)  # fmt: skip
def test_format_by_name(path: str, format: str) -> None:
    assert format_of(path) == format


@pytest.mark.parametrize("path", ["loop.avi", "loop", "", "out.d/loop", "loop.mp4.txt"])
def test_unknown_ending(path: str) -> None:
    with pytest.raises(StillflowError) as caught:
        opening(path)
    assert ".mp4" in caught.value.fix


def test_named_format_overrules(tmp_path: Path) -> None:
    with opening(tmp_path / "loop.bin", format="GIF") as sink:
        sink.write(picture())
    assert (tmp_path / "loop.bin").read_bytes()[:3] == b"GIF"
    with pytest.raises(StillflowError, match="avi"):
        opening(tmp_path / "loop.mp4", format="avi")


@pytest.mark.parametrize("path", ["%d/%d.png", "a%d_%d.png", "%s.png", "%.png", "%d/a.png", "a%%d%d.png"])
def test_bad_patterns(path: str, tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="number"):
        opening(os.path.join(tmp_path, path), format="png")
    assert list(tmp_path.iterdir()) == []


def test_options_that_cannot_be(tmp_path: Path) -> None:
    matte = np.zeros((24, 32), np.uint8)
    with pytest.raises(StillflowError, match="loops"):
        opening(tmp_path / "loop.mp4", loops=0)
    with pytest.raises(StillflowError, match="alpha"):
        opening(tmp_path / "loop.mp4", matte=matte)
    with pytest.raises(StillflowError, match="16383"):
        opening(tmp_path / "loop.webp", width=20000)
    with pytest.raises(ValueError, match="matte"):
        opening(tmp_path / "loop.webm", matte=matte[1:])
    with pytest.raises(ValueError, match="frame rate"):
        opening(tmp_path / "loop.webm", fps=float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_wrong_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit"), opening(tmp_path / "loop.mp4") as sink:
        sink.write(np.zeros((24, 31, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_every_format_has_a_name_in_the_tests() -> None:
    assert {format_of(name) for name in NAMES} == set(FORMATS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("loop.gif", "FileDestination(Path(name))"), ("f", "FolderDestination(Path(name), name)")],
)
def test_what_nobody_took_over_is_swept_away_at_exit(name: str, kind: str, tmp_path: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
from stillflow.video.destination import FileDestination, FolderDestination
name = {name!r}
{kind}
assert os.listdir(".")
if os.fork() == 0:
    sys.exit()  # a child leaves its parent's work alone
os.wait()
assert os.listdir(".")
sys.exit(3)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert done.returncode == 3
    assert not list(tmp_path.iterdir())
