# SPDX-License-Identifier: Apache-2.0
"""Loops of baked scenes: the frames of the live path, at any time, from any thread, within the memory that is given."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.kernels.native import NativeScene

from ..internals import INCLUDES, Error, Room, internals
from ..structs import ARGUMENT, FILE, FORMAT, LIMIT, MEMORY, OK, UNSUPPORTED, Facts, Source, Target
from .baked import JPEG, MATTE, PHOTO, PLATE, PNG, WEBP, baked, small_scene
from .calls import Loop, OpenError, aligned, native_library

ARRAYS = small_scene(45, 62, 2, harmonics=1, lights=1, blend=True)
FILE_BYTES = baked(ARRAYS, about=b"{}")


@pytest.fixture(scope="module")
def loop():
    with Loop(FILE_BYTES) as opened:
        yield opened


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 999),
    height=st.integers(1, 50),
    width=st.integers(1, 70),
    harmonics=st.integers(0, 2),
    lights=st.integers(0, 2),
    blend=st.booleans(),
    bare=st.booleans(),
    t=st.floats(0, 1),
)
def test_frames_are_those_of_the_live_path(seed, height, width, harmonics, lights, blend, bare, t):
    how = {"harmonics": harmonics, "lights": lights, "blend": blend}
    arrays = small_scene(height, width, seed, plated=not bare, **how)
    t *= arrays.frames
    with Loop(baked(arrays, bare=bare)) as loop:
        difference = loop.frame(t).astype(int) - NativeScene(arrays).frame(t)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("encoding", [PNG, WEBP])
def test_pictures_may_be_compressed(encoding):
    pictures = {PHOTO: encoding, MATTE: encoding, PLATE: encoding}
    with Loop(baked(ARRAYS, encodings=pictures)) as packed, Loop(FILE_BYTES) as plain:
        np.testing.assert_array_equal(packed.frame(2.5), plain.frame(2.5))


def test_a_photo_may_be_a_jpeg():
    import io

    from PIL import Image

    data = baked(ARRAYS, encodings={PHOTO: JPEG})
    start = data.index(b"\xff\xd8\xff")
    photo = np.asarray(Image.open(io.BytesIO(data[start:])).convert("RGB"))
    still = ARRAYS.matte == 0
    with Loop(data) as loop:
        np.testing.assert_array_equal(loop.frame(2.5)[still], photo[still])


def test_a_picture_of_another_size_is_refused():
    other = baked(small_scene(45, 61, 2), encodings={PHOTO: PNG})
    picture = other[other.index(b"\x89PNG") : other.index(b"IEND") + 8]
    from .baked import sections_of

    sections = sections_of(ARRAYS, encodings={PHOTO: PNG})
    sections[0] = (*sections[0][:5], picture)
    with pytest.raises(OpenError, match="61 x 45"):
        Loop(baked(ARRAYS, sections))


def test_a_file_is_mapped(tmp_path, loop):
    path = tmp_path / "scene é.sflow"
    path.write_bytes(FILE_BYTES)
    with Loop(path=str(path)) as mapped:
        path.unlink()
        np.testing.assert_array_equal(mapped.frame(1.25), loop.frame(1.25))
        # Photo and matte stay in the file.
        assert mapped.facts.memory_bytes == loop.facts.memory_bytes


@pytest.mark.parametrize(("name", "status"), [("missing", FILE), ("", FILE), ("empty", FORMAT)])
def test_files_that_cannot_be_read(tmp_path, name, status):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(OpenError) as caught:
        Loop(path=str(tmp_path / name))
    assert caught.value.status == status and str(tmp_path) in caught.value.why


@pytest.mark.parametrize("folder", ["", "a" * 200 + "/"])
def test_a_damaged_file_is_named(tmp_path, folder):
    path = tmp_path / f"{folder}scene.sflow"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(FILE_BYTES[:-1])
    with pytest.raises(OpenError) as caught:
        Loop(path=str(path))
    assert caught.value.status == FORMAT
    assert caught.value.why.startswith(f"{str(path)[:150]}: it has {len(FILE_BYTES) - 1} bytes")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OpenError) as caught:
        Loop(path=str(tmp_path / "pipe"))
    assert caught.value.status == FILE


def test_facts(loop):
    facts = loop.facts
    assert (facts.width, facts.height, facts.frames, facts.fps) == (62, 45, ARRAYS.frames, 30.0)
    assert facts.moving == np.mean(ARRAYS.matte > 1)
    assert facts.rows_bytes == 0 and facts.memory_bytes < 1 << 20


@settings(max_examples=25, deadline=None)
@given(t=st.integers(-4000, 4000), more=st.integers(-3, 3))
def test_time_goes_round(t, more):
    with Loop(FILE_BYTES) as loop:
        at = t / 8
        np.testing.assert_array_equal(loop.frame(at), loop.frame(at + more * ARRAYS.frames))


@pytest.mark.parametrize("t", [1e300, -1e300, 1.7e308, 5e-324, -5e-324, 2.0**53 + 2])
def test_any_time_gives_a_frame(loop, t):
    kept = loop.frame(t)
    still = ARRAYS.matte == 0
    np.testing.assert_array_equal(kept[still], ARRAYS.photo[still])
    np.testing.assert_array_equal(kept, loop.frame(float(np.fmod(t, ARRAYS.frames))))


@pytest.mark.parametrize("t", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_time_is_refused(loop, t):
    frame = aligned(loop.facts.frame_bytes)
    assert loop.native.sf_loop_at(loop.at, t, frame.ctypes.data, frame.size) == ARGUMENT


def test_a_frames_memory_is_checked(loop):
    size = loop.facts.frame_bytes
    frame = aligned(size + 64)
    at, call = frame.ctypes.data, loop.native.sf_loop_at
    assert call(loop.at, 1.0, at, size - 1) == MEMORY
    assert call(loop.at, 1.0, at + 8, size) == MEMORY
    assert call(loop.at, 1.0, None, size) == ARGUMENT
    assert call(None, 1.0, at, size) == ARGUMENT
    assert call(loop.at, 1.0, at, size) == OK
    assert (frame[size:] == 0xA5).all()


def test_rows_want_a_frame_of_this_very_loop(loop):
    with Loop(FILE_BYTES) as other:
        target, out = Target(stride=200), np.zeros((45, 200), np.uint8)
        target.data = out.ctypes.data
        assert other.rows(loop.memory(1.0), target, 0, 45) == ARGUMENT
        assert other.rows(aligned(other.facts.frame_bytes), target, 0, 45) == ARGUMENT
        assert other.rows(other.memory(1.0), target, 0, 45) == OK


def test_sizes_of_structs(loop):
    lib, error = native_library(), Error()
    at = ctypes.c_void_p()
    data = aligned(len(FILE_BYTES))
    data[:] = np.frombuffer(FILE_BYTES, np.uint8)
    source = Source(bytes=data.ctypes.data, size=data.size)
    source.struct_size -= 1
    assert lib.sf_loop_open(ctypes.byref(source), ctypes.byref(at), ctypes.addressof(error)) == ARGUMENT
    source.struct_size += 1000
    assert lib.sf_loop_open(ctypes.byref(source), ctypes.byref(at), None) == OK
    lib.sf_loop_close(at)
    facts, target = Facts(), Target()
    facts.struct_size -= 1
    assert lib.sf_loop_facts(loop.at, None, ctypes.byref(facts)) == ARGUMENT
    facts.struct_size += 65
    assert lib.sf_loop_facts(loop.at, None, ctypes.byref(facts)) == OK
    target.struct_size -= 1
    assert lib.sf_loop_facts(loop.at, ctypes.byref(target), ctypes.byref(facts)) == ARGUMENT


def test_sources_that_make_no_sense(tmp_path):
    lib, error, at = native_library(), Error(), ctypes.c_void_p(1)

    def refused(source):
        status = lib.sf_loop_open(source and ctypes.byref(source), ctypes.byref(at), ctypes.addressof(error))
        assert at.value is None and error.status == status and error.fix
        return status

    data = aligned(len(FILE_BYTES) + 8)
    assert refused(None) == ARGUMENT
    assert refused(Source()) == ARGUMENT
    assert refused(Source(path=b"a", bytes=data.ctypes.data, size=data.size)) == ARGUMENT
    assert refused(Source(bytes=data.ctypes.data + 8, size=data.size - 8)) == MEMORY
    data[: len(FILE_BYTES)] = np.frombuffer(FILE_BYTES, np.uint8)
    assert refused(Source(bytes=data.ctypes.data, size=len(FILE_BYTES), isa=3)) == UNSUPPORTED
    assert lib.sf_loop_open(None, None, None) == ARGUMENT
    lib.sf_loop_close(None)


def test_the_memory_limit_holds():
    """From one byte on, either it is refused for its limit or it plays within it."""
    pictures = baked(ARRAYS, encodings={PHOTO: PNG, MATTE: PNG, PLATE: PNG})
    low, high = 1, 1 << 26
    while high - low > 1:
        middle = (low + high) // 2
        try:
            with Loop(pictures, limit=middle) as loop:
                assert loop.facts.memory_bytes <= middle
                high = middle
        except OpenError as error:
            assert error.status == LIMIT
            low = middle
    with Loop(pictures, limit=high) as loop:
        loop.frame(3.0)
        # What is only needed while it is opened is given back.
        assert loop.facts.memory_bytes < 0.8 * high
    for limit in range(1, high, max(1, high // 200)):
        with pytest.raises(OpenError) as caught:
            Loop(pictures, limit=limit)
        assert caught.value.status == LIMIT


def test_eight_threads_play_one_loop(loop):
    times = [k * 0.75 for k in range(24)]
    expected = [loop.frame(t) for t in times]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            for found, frame in zip(pool.map(loop.frame, times), expected, strict=True):
                np.testing.assert_array_equal(found, frame)


def test_nothing_is_kept_and_frames_allocate_nothing(tmp_path):
    """A program of its own, whose malloc counts: 1,000 times open and closed, and frames in every format."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    scene, damaged, program = tmp_path / "scene.sflow", tmp_path / "damaged.sflow", tmp_path / "counting"
    scene.write_bytes(baked(ARRAYS, encodings={PHOTO: PNG, MATTE: PNG, PLATE: PNG}))
    damaged.write_bytes(scene.read_bytes()[:-1] + b"?")
    shared = internals()._name
    source = Path(__file__).with_name("counting.c")
    command = [
        "cc",
        "-std=c11",
        *INCLUDES,
        str(source),
        shared,
        f"-Wl,-rpath,{Path(shared).parent}",
        "-o",
        str(program),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program, scene, damaged], capture_output=True, text=True, check=False)
    if ran.returncode == 77:
        pytest.skip("malloc can be counted with glibc only")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    facts = dict(line.split("=") for line in ran.stdout.split())
    assert int(facts["opening"]) > 10
    assert facts["playing"] == "0"
    assert facts["kept"] == "0"


def test_a_loop_of_arrays_in_a_room(loop):
    """What a photo becomes: sf_loop_of copies what it needs and empties the room."""
    with Room() as room:
        made = ctypes.c_void_p()
        call = internals().test_loop_of
        call.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        native = NativeScene(ARRAYS)
        described = native._described
        assert call(room.address, ctypes.byref(described), ctypes.byref(made)) == OK
        again = Loop.__new__(Loop)
        again.native, again.at = native_library(), made
        again.facts = again.facts_of(None)
        np.testing.assert_array_equal(again.frame(4.5), native.frame(4.5))
        assert again.facts.fps == 25.0
        again.close()
        described.frames = 0
        assert call(room.address, ctypes.byref(described), ctypes.byref(made)) != OK
        assert made.value is None and room.error.why
