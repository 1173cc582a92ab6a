# SPDX-License-Identifier: Apache-2.0
"""Where there is no CUDA device, all that wants one runs on a stand-in for the driver, in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

from stillflow.gpu.description import find_gpu

TESTS = Path(__file__).resolve().parent
STAND_IN = TESTS / "native" / "stand_in" / "run"

FEWEST = 300
"""Tests that run there at least; fewer would mean that they are not found any more."""

OVERLAPPING = {"test_engine_lane", "test_gpu_scene", "test_gpu_feature_scene", "test_lane", "test_lane_pool"}
"""Tests of what works on several streams: they run a second time, in another order of work."""


def marked() -> list[Path]:
    """Files with tests that want a device; to collect the others would take longer than to run these."""
    return [
        path
        for path in sorted(TESTS.rglob("test_*.py"))
        if re.search(r"\bmark\.device\b", path.read_text(encoding="utf-8")) and path != Path(__file__)
    ]


@pytest.mark.skipif(find_gpu() is not None, reason="there is a CUDA device: its tests run on it")
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed, which builds the stand-in")
@pytest.mark.parametrize(("work", "fewest"), [("late", FEWEST), ("early", 40)])
def test_all_that_wants_a_device_passes_on_the_stand_in(tmp_path, work, fewest):
    """Late: work waits until somebody waits for it. Early: streams go ahead with it by dice (STAND_IN_EAGER)."""
    pytest.importorskip("cuda.core", reason="cuda-core is not installed (pip install 'stillflow[cuda]')")
    report = tmp_path / "report.xml"
    early = work == "early"
    files = [str(path) for path in marked() if not early or path.stem in OVERLAPPING]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--junitxml={report}"]
    wanted = "device and not stand_in" if early else "device"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["STAND_IN_EAGER"] = "50" if early else "0"
    # Compiled kernels outlive the run, and nothing comes from the user's own cache.
    environment["STILLFLOW_CACHE"] = str(TESTS.parent / "build" / "stand_in_cache")
    done = subprocess.run(
        [STAND_IN, sys.executable, "-m", "pytest", "-m", wanted, *options, *files],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=TESTS.parent,
        env=environment,
        check=False,
    )
    if not report.is_file():
        pytest.fail(
            f"it ended with {done.returncode}:\n{done.stdout[-8000:]}{done.stderr[-4000:]}", pytrace=False
        )
    cases = ElementTree.parse(report).findall(".//testcase")
    failed = []
    for case in cases:
        found = [*case.findall("failure"), *case.findall("error")]
        failed += [f"{case.get('classname')}::{case.get('name')}\n{one.text}" for one in found]
    ran = [case for case in cases if case.find("skipped") is None]
    if failed or done.returncode:
        told = "\n\n".join(failed) or done.stdout[-8000:]
        pytest.fail(f"{len(failed)} of {len(ran)} failed on the stand-in:\n\n{told}", pytrace=False)
    for reason, count in Counter(reasons(cases)).items():
        warnings.warn(pytest.PytestWarning(f"on the stand-in {count} skipped: {reason}"), stacklevel=1)
    assert len(ran) >= fewest


def reasons(cases: list[ElementTree.Element]) -> list[str]:
    """Why cases were skipped: they are counted by reason, like those of this run."""
    told = []
    for case in cases:
        found = case.find("skipped")
        if found is not None:
            # Of a whole file the reason stands in the text alone: ('path', line, 'Skipped: reason').
            whole = re.search(r"Skipped: (.*?)['\"]\)?$", found.text or "")
            told.append(whole[1] if whole else str(found.get("message")))
    return told
