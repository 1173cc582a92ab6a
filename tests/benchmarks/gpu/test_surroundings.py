# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillflow_bench.gpu import surroundings as module
from stillflow_bench.gpu.surroundings import held_back, processes, surroundings

SMI = """#!/bin/sh
case "$1" in
*clocks_event_reasons*) echo 'Field "clocks_event_reasons.active" is not a valid field to query.'; exit 2 ;;
*query-gpu*) echo "P0, 1980, 3201, 1980, 3201, 41, 120.5, 700, 98, 1024, Enabled, 0x0000000000000024" ;;
*compute-apps*) echo "99999999, /usr/bin/other, 512" ;;
esac
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("smi")
def test_clocks_reasons_and_company_are_told_by_an_older_driver_too() -> None:
    told = surroundings()
    assert told["clocks"]["clocks.sm"] == "1980"
    assert told["clocks"]["persistence_mode"] == "Enabled"
    assert told["held_back"] == ["power cap", "temperature (driver)"]
    assert told["processes"] == [{"program": "other", "memory_mib": "512"}]


def test_without_nvidia_smi_nothing_is_known_and_nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert surroundings() == {"missing": "nvidia-smi is not installed"}


def test_the_device_is_the_one_that_cuda_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-12")
    assert [module.smi_index(0), module.smi_index(1), module.smi_index(2)] == ["3", "GPU-12", None]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert module.smi_index(1) == "1"


@pytest.mark.parametrize(
    ("mask", "words"),
    [("0x0", []), ("0x1", ["idle"]), ("0x800", ["others (0x800)"]), ("[N/A]", []), ("", [])],
)
def test_reasons_are_words(mask: str, words: list[str]) -> None:
    assert held_back(mask) == words


def test_this_process_is_no_company() -> None:
    assert processes(f"{os.getpid()}, python, 10\n\nodd line\n1, C:\\games\\one.exe, 20") == [
        {"program": "one.exe", "memory_mib": "20"}
    ]
