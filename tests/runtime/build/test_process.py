# SPDX-License-Identifier: Apache-2.0
"""Builds that end badly: the process that asked lives on, the cache is as it was, and the failure can be repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.build.builder import Engine
from stillflow.build.cache import EngineCache
from stillflow.build.process import environment_for
from stillflow.errors import StillflowError

CRASH = """
class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        import ctypes
        ctypes.string_at(0)
"""
HANG = """
class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        import time
        time.sleep(300)
"""
THROWS = """
class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        raise KeyError("a bug")
"""
HUNGRY = """
class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        raise MemoryError
"""
NOISY = """
class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        import os
        os.write(1, b"{'not': 'the result'}\\n" * 5000)
        return super().build_serialized_network(network, config)
"""


def children() -> list[int]:
    """Processes that this one started and that still run."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in found]


def command_in(error: StillflowError) -> str:
    return error.fix.split("to see it again: ")[1]


def test_a_crash_is_named_and_can_be_repeated(
    build: Callable[..., Engine], in_place_of_rtx: Callable[[str], Path], cache: EngineCache
) -> None:
    in_place_of_rtx(CRASH)
    with pytest.raises(StillflowError, match="ended by SIGSEGV") as caught:
        build()
    assert cache.stored() == []
    assert list(cache.engines.iterdir()) == []
    again = subprocess.run(command_in(caught.value), shell=True, capture_output=True, check=False)
    assert again.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV)


def test_a_build_that_hangs_is_ended(
    build: Callable[..., Engine], in_place_of_rtx: Callable[[str], Path], cache: EngineCache
) -> None:
    in_place_of_rtx(HANG)
    before = children()
    begun = time.monotonic()
    with pytest.raises(StillflowError, match=r"not done after 1 s; the last phase was: parsing") as caught:
        build(timeout=1)
    assert time.monotonic() - begun < 10
    assert children() == before
    assert "--timeout" in caught.value.fix
    assert list(cache.engines.iterdir()) == []


def test_killed_in_the_middle(build: Callable[..., Engine], cache: EngineCache) -> None:
    """As the system does when memory runs out. Then the same build, from the start, is whole."""
    before = set(children())

    def kill(phase: str, done: int, of: int) -> None:
        for pid in set(children()) - before:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(StillflowError, match=r"SIGKILL.*memory ran out"):
        build(progress=kill)
    assert cache.stored() == []
    assert build().cached is False
    assert [stored.why for stored in cache.stored()] == [""]


def test_a_bug_in_the_child_says_where_to_look(
    build: Callable[..., Engine], in_place_of_rtx: Callable[[str], Path], cache: EngineCache
) -> None:
    in_place_of_rtx(THROWS)
    with pytest.raises(StillflowError, match=r"ended with 70.*a bug") as caught:
        build()
    again = subprocess.run(command_in(caught.value), shell=True, capture_output=True, text=True, check=False)
    assert "KeyError: 'a bug'" in again.stderr
    (folder,) = (cache.root / "failed").iterdir()
    assert "KeyError" in (folder / "log.txt").read_text()


def test_a_lack_of_memory_is_not_kept_to_be_run_again(
    build: Callable[..., Engine], in_place_of_rtx: Callable[[str], Path], cache: EngineCache
) -> None:
    in_place_of_rtx(HUNGRY)
    with pytest.raises(StillflowError, match="not enough memory"):
        build()
    assert not (cache.root / "failed").exists()


def test_a_caller_whose_progress_fails_gets_the_engine(
    build: Callable[..., Engine], in_place_of_rtx: Callable[[str], Path]
) -> None:
    in_place_of_rtx(NOISY)

    def fails(phase: str, done: int, of: int) -> None:
        raise RuntimeError(phase)

    assert build(progress=fails).entry.layers > 100


def test_what_the_library_prints_is_not_the_result(
    build: Callable[..., Engine], in_place_of_rtx: Callable[[str], Path]
) -> None:
    in_place_of_rtx(NOISY)
    assert build().entry.layers > 100


def test_the_child_ends_with_whoever_waits_for_it(
    in_place_of_rtx: Callable[[str], Path], golden: object, command: list[str], cache: EngineCache
) -> None:
    in_place_of_rtx(HANG)
    waiting = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        child = _only_child(waiting.pid)
    finally:
        waiting.kill()
        waiting.wait()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the child outlives its parent")
    assert len(list(cache.engines.glob(".part-*"))) == 1, "nobody was left to remove it"


def test_ctrl_c_ends_the_child_and_leaves_nothing(
    in_place_of_rtx: Callable[[str], Path], command: list[str], cache: EngineCache
) -> None:
    in_place_of_rtx(HANG)
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heed}; import sys; from stillflow.cli import main; sys.exit(main({command[3:]!r}))"
    waiting = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    child = _only_child(waiting.pid)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130, err
    assert "interrupted" in err
    assert not Path(f"/proc/{child}").exists()
    assert list(cache.engines.iterdir()) == []


@pytest.mark.parametrize(
    ("visible", "device", "seen"),
    [(None, 0, None), (None, 1, "1"), ("3,0", 0, "3,0"), ("3, GPU-8f2c", 1, "GPU-8f2c"), ("3", 1, "1")],
)
def test_the_child_sees_the_gpu_that_it_builds_on(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, device: int, seen: str | None
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert environment_for(device).get("CUDA_VISIBLE_DEVICES") == seen
    assert environment_for(device)["PATH"] == os.environ["PATH"]


def _only_child(pid: int) -> int:
    """Wait for the building child of a process."""
    for _ in range(200):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found and b"stillflow.build.child" in Path(f"/proc/{found[0]}/cmdline").read_bytes():
            time.sleep(0.3)  # until it has asked to end with its parent
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError("no build was started")
