# SPDX-License-Identifier: Apache-2.0
"""The library under the sanitizers: played, opened a thousand times, starved, shared (docs/hard-tests.md)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .builds import ROOT, built

SCENE = ROOT / "tests" / "data" / "baked" / "falls-1.0.sflow"
CORPUS = ROOT / "tests" / "native" / "fuzz" / "corpus"
BUNDLE = CORPUS / "bundle" / "small.zip"

READERS = ("scene", "codecs", "bundle")


@pytest.fixture(scope="module")
def sanitized() -> Path:
    """Address, undefined behaviour and leaks."""
    targets = ("play", "stillflow_soak", "stillflow_openings", *(f"stillflow_replay_{r}" for r in READERS))
    options = ("-DSTILLFLOW_TESTS=ON", "-DSTILLFLOW_EXAMPLES=ON", "-DSTILLFLOW_SANITIZE=ON")
    return built("sanitized", targets, *options)


def run(program: Path, *given: object) -> str:
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}
    command = [str(program), *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def openings(sanitized: Path) -> Path:
    return sanitized / "tests" / "native" / "stillflow_openings"


@pytest.fixture
def damaged(tmp_path: Path) -> list[Path]:
    """The golden scene cut short, of another version, and with one bit turned in its size, table and sections."""
    sound = SCENE.read_bytes()
    files = [tmp_path / "cut.sflow"]
    files[0].write_bytes(sound[:-7])
    for place in (8, 17, 200, len(sound) - 100):
        other = bytearray(sound)
        other[place] ^= 4
        files.append(tmp_path / f"bit-{place}.sflow")
        files[-1].write_bytes(other)
    return files


def test_random_scenes(sanitized):
    run(sanitized / "tests" / "native" / "stillflow_soak")


def test_every_format_size_and_split(openings):
    run(openings, "frames", SCENE)


@pytest.mark.parametrize(
    ("form", "size"), [("rgb", "0x0"), ("bgra", "77x19"), ("rgba", "20x90"), ("nv12", "33x31")]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_example_plays(sanitized, tmp_path, form, size, threads):
    run(sanitized / "examples" / "play", SCENE, tmp_path / "frames", form, size, threads)


def test_a_thousand_openings_leave_nothing_over(openings, damaged):
    run(openings, "thousand", SCENE, *damaged)


def test_threads_share_a_loop_while_others_open_theirs(openings):
    run(openings, "threads", SCENE)


def test_a_scene_is_refused_whichever_allocation_fails(openings):
    assert int(re.findall(r"allocations=(\d+)", run(openings, "starved", SCENE))[0]) > 10


def test_a_scene_is_refused_below_the_memory_that_it_takes(openings):
    assert int(re.findall(r"enough=(\d+)", run(openings, "limits", SCENE))[0]) > 10_000


@pytest.fixture
def engine(sanitized: Path) -> Path:
    """What stands in for ONNX Runtime: its network gives what the small bundle's vector says, whatever it gets."""
    return next((sanitized / "tests" / "native").glob("*stillflow_fake_engine*.*"))


def test_a_bundle_is_refused_whichever_allocation_fails_and_below_its_memory(openings, engine):
    told = run(openings, "bundle", SCENE, BUNDLE, engine)
    assert int(re.findall(r"allocations=(\d+)", told)[0]) > 10


def test_a_photo_is_refused_whichever_allocation_fails_up_to_its_motion(openings, engine):
    told = run(openings, "photo", SCENE, BUNDLE, engine)
    assert int(re.findall(r"allocations=(\d+)", told)[0]) > 10


@pytest.mark.parametrize("reader", READERS)
def test_what_a_fuzzer_found_stays_found(sanitized, reader):
    files = sorted((CORPUS / reader).iterdir())
    told = run(sanitized / "tests" / "native" / f"stillflow_replay_{reader}", *files)
    assert told == f"{len(files)} files\n"


def test_threads_race_for_nothing():
    build = built("raced", ("stillflow_openings",), "-DSTILLFLOW_TESTS=ON", "-DSTILLFLOW_SANITIZE=thread")
    program = build / "tests" / "native" / "stillflow_openings"
    done = subprocess.run(
        [program, "threads", SCENE], capture_output=True, text=True, check=False, timeout=120
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer does not start with this kernel's layout of memory")
    assert done.returncode == 0, done.stderr[-4000:]


def test_ten_seconds_of_fuzzing_find_nothing(tmp_path):
    clang = shutil.which("clang")
    if clang is None:
        pytest.skip("clang is not installed")
    (tmp_path / "empty.c").write_text(
        "int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return !data && size; }\n"
    )
    flags = ["-fsanitize=fuzzer,address", str(tmp_path / "empty.c"), "-o", str(tmp_path / "empty")]
    if subprocess.run([clang, *flags], capture_output=True, check=False).returncode:
        pytest.skip("clang's libFuzzer is not installed")
    targets = tuple(f"stillflow_fuzz_{r}" for r in READERS)
    build = built("fuzz", targets, "-DSTILLFLOW_FUZZ=ON", f"-DCMAKE_C_COMPILER={clang}")
    command = [ROOT / "tests" / "native" / "fuzz" / "run", build, "10", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
