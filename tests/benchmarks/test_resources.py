# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench import resources
from stillflow_bench.resources import python_threads, read

if not Path("/proc/self/status").is_file():
    pytest.skip("there is no /proc here", allow_module_level=True)

MB = 1_000_000


def test_memory_is_seen_when_it_is_taken_and_when_it_is_given_back() -> None:
    before = read().host
    held = [b"x" * 10_000 for _ in range(2000)]
    during = read().host
    assert 15 * MB < during - before < 25 * MB
    del held
    assert read().host - before < 5 * MB


def test_files_and_threads_are_counted(tmp_path: Path) -> None:
    before = read()
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="waiting")
    thread.start()
    with (tmp_path / "one").open("w"), (tmp_path / "two").open("w"):
        now = read()
        assert "waiting" in python_threads()
    go.set()
    thread.join()
    assert (now.descriptors - before.descriptors, now.threads - before.threads) == (2, 1)
    assert read().descriptors == before.descriptors


def test_a_device_tells_what_is_used() -> None:
    assert read().device is None
    assert read(lambda: (30, 100)).device == 70


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="ascii")


def test_memory_is_what_no_file_backs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "status",
        "RssAnon:\t    100 kB\nRssFile:\t   7000 kB\nRssShmem:\t      4 kB\nVmSwap:\t      1 kB\n",
    )
    assert resources._host(tmp_path) == 105 * 1024
    # Without the parts, as kernels before 5.9 write it.
    write(tmp_path, "smaps_rollup", "00-ff ---p 00000000 00:00 0    [rollup]\nPss:                9000 kB\n")
    assert resources._host(tmp_path) == 105 * 1024
    parts = "Pss_Anon:            200 kB\nPss_File:           8000 kB\nPss_Shmem:             8 kB\nSwapPss:  2 kB\n"
    write(tmp_path, "smaps_rollup", f"Pss:                8208 kB\n{parts}")
    assert resources._host(tmp_path) == 210 * 1024


def test_a_system_that_does_not_tell_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "Path", lambda _: tmp_path)
    with pytest.raises(StillflowError, match="cannot see what this process holds"):
        read()
    write(tmp_path, "status", "Name: python\n")
    with pytest.raises(StillflowError, match="does not say RssAnon"):
        read()
