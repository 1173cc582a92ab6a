# SPDX-License-Identifier: Apache-2.0
"""The doctor: finds what is there, names what is not, and gives the line that fixes it."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from stillflow import doctor
from stillflow.doctor import examine, healthy
from stillflow.engine_probes import Finding


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def break_imports(monkeypatch: pytest.MonkeyPatch, error: Exception, *names: str) -> None:
    real = importlib.import_module

    def fake(name: str, package: str | None = None) -> ModuleType:
        if name.split(".")[0] in names:
            raise error
        return real(name, package)

    monkeypatch.setattr("importlib.import_module", fake)


def test_every_finding_reads_well_and_has_a_fix_where_one_is_needed() -> None:
    findings = examine()
    assert len(by_name(findings)) == len(findings)
    for finding in findings:
        assert finding.state in ("ok", "absent", "broken")
        assert finding.detail
        if finding.state == "broken":
            assert finding.fix


def test_this_machine_can_animate(default_bundle: Path) -> None:
    findings = examine()
    assert healthy(findings), [f for f in findings if f.state == "broken"]
    assert "checks passed" in by_name(findings)["default bundle"].detail
    assert "native" in by_name(findings)["kernels"].detail


def test_video_encoders_really_encode() -> None:
    found = by_name(examine())
    assert found["video: H.264"].state == "ok"
    assert "bytes" in found["video: H.264"].detail


def test_missing_needed_package_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    break_imports(monkeypatch, ImportError("No module named 'av'"), "av")
    findings = examine()
    assert not healthy(findings)
    assert by_name(findings)["PyAV"] == Finding(
        "PyAV", "broken", "ImportError: No module named 'av'", "pip install --force-reinstall av", True
    )


def test_broken_package_does_not_end_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    break_imports(monkeypatch, OSError("libGL.so.1: cannot open shared object file"), "cv2", "PIL", "numpy")
    found = by_name(examine())
    for name in ("OpenCV", "Pillow", "NumPy"):
        assert found[name].state == "broken"
        assert "libGL" in found[name].detail
    assert found["ONNX Runtime"].state in ("ok", "broken")


def test_failing_encoder_costs_its_format_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(av: object, codec: str, container: str, pixel_format: str) -> int:
        if codec == "libvpx-vp9":
            raise ValueError("unknown encoder")
        return 1

    monkeypatch.setattr(doctor, "_encode_two_frames", fail)
    found = by_name(examine())
    assert found["video: VP9 with alpha"].state == "absent"
    assert "no .webm" in found["video: VP9 with alpha"].detail
    assert found["video: H.264"].state == "ok"


def test_healthy_looks_at_needed_things_only() -> None:
    assert healthy([Finding("a", "ok", "", needed=True), Finding("b", "broken", "", "x")])
    assert not healthy([Finding("a", "broken", "", "x", needed=True)])
