# SPDX-License-Identifier: Apache-2.0
"""Interrupts and imports."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stillflow.importing import import_whole

SLOW = """
import os, signal
os.kill(os.getpid(), signal.{signal})
try:
    for _ in range(1000):  # a signal's handler runs between two of these
        pass
except BaseException as error:  # as pybind11 does it
    raise ImportError("initialization failed") from error
whole = True
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package that a signal meets while it is imported."""
    name = f"interrupted_{request.param.lower()}"
    (tmp_path / f"{name}.py").write_text(SLOW.format(signal=request.param))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


@pytest.mark.parametrize("package", ["SIGINT"], indirect=True)
def test_ctrl_c_waits_for_an_import_and_is_not_lost(package: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        import_whole(package)
    assert sys.modules[package].whole  # type: ignore[attr-defined]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("package", ["SIGTERM"], indirect=True)
def test_so_does_an_end_from_outside(package: str) -> None:
    def leave(number: int, frame: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(SystemExit):
            import_whole(package)
        assert sys.modules[package].whole  # type: ignore[attr-defined]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_package_that_does_not_import_says_so() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_whole("stillflow_is_not_this")


def test_other_threads_import_too() -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(import_whole("json")))
    thread.start()
    thread.join()
    assert found == [sys.modules["json"]]


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    program = """
import sys
from stillflow.importing import import_whole
import_whole("stillflow.sessions.openvino")
assert "openvino" in sys.modules and not any(name.startswith("openvino_telemetry") for name in sys.modules)
"""
    home = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=home, check=True)
    assert not list(tmp_path.iterdir())
