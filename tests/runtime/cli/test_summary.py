# SPDX-License-Identifier: Apache-2.0
"""What is said of loops, on loops made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stillflow.animator import Loop
from stillflow.assess import Suitability
from stillflow.cli.summary import Report, warnings

GOOD = Suitability(2, ("the picture is blurred",), {})
POOR = Suitability(1, ("the picture is small",), {}, chance=0.4)
FAST = Suitability(2, ("too fast",), {}, strength=0.5, strength_why="too fast")


class MadeUp:
    """What is read of a Loop; saving it writes nothing."""

    def __init__(self, suitability: Suitability = GOOD, share: float = 0.3) -> None:
        self.fps, self.moving_share, self.suitability = 30.0, share, suitability
        self.scene = SimpleNamespace(width=640, height=360, speed_scale=1.0)
        self.seconds = {"read": 0.25, "video": 1.0}
        self.runs = {
            "bundle": "edge",
            "engine": "onnxruntime",
            "provider": "CUDAExecutionProvider",
            "device": "cuda:0 (NVIDIA L4)",
            "precision": "fp16",
            "frames": "cuda kernels on NVIDIA L4",
            "why": "NVIDIA L4 is here",
            "velocity": "rbf",
        }
        self.warnings: tuple[str, ...] = ()
        self.seed, self.strength = 5, suitability.strength
        self.strength_why = suitability.strength_why or "natural"

    def __len__(self) -> int:
        return 120

    def save(self, name: str, **options: Any) -> int:
        for done in range(1, 4):
            options["progress"](done, 3)
        return 1_234_567


def said(
    capsys: pytest.CaptureFixture[str], *loops: MadeUp, output: str = "loop.mp4", **how: Any
) -> tuple[str, str]:
    found = loops or (MadeUp(),)
    names = [output] if len(found) == 1 else [f"loop-{i + 1}.mp4" for i in range(len(found))]
    report = Report(names, 2, **({"as_json": False, "quiet": False} | how))
    report.save(iter(cast("tuple[Loop, ...]", found)), format=None, alpha=False)
    return capsys.readouterr()


def test_words(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys)
    assert err == ""
    assert "loop.mp4: 120 frames at 30 fps, 640x360, 8.0 s, 1.2 MB" in out
    assert "30 % of the picture, seed 5, strength 1" in out
    assert "bundle edge on onnxruntime (CUDAExecutionProvider), fp16\n" in out
    assert "device cuda:0 (NVIDIA L4), frames by cuda kernels on NVIDIA L4: NVIDIA L4 is here\n" in out
    assert "parts: velocity by rbf" in out
    assert "2 of 3" in out
    assert "- the picture is blurred" in out
    assert "took 1.25 s: read 0.25, video 1.00" in out


def test_nothing_moves_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--mask" in said(capsys, MadeUp(share=0.0))[0]


def test_what_runs_on_the_cpu_unasked_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    slow = MadeUp()
    slow.warnings = ("the networks run on the CPU: the wheel is for CPUs",)
    assert said(capsys, slow)[1] == "stillflow: warning: the networks run on the CPU: the wheel is for CPUs\n"
    found = json.loads(said(capsys, slow, as_json=True)[0])
    assert found["warnings"] == list(slow.warnings)
    assert found["runs"]["frames"] == "cuda kernels on NVIDIA L4"
    assert said(capsys, slow, quiet=True) == ("", "")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, as_json=True)[0])
    assert (found["bytes"], found["loops"], found["frames"]) == (1_234_567, 2, 120)
    assert (found["seed"], found["strength"], found["strength_why"]) == (5, 1.0, "natural")
    assert found["suitability"]["verdict"] == "good"
    assert found["warnings"] == []


def test_risks_are_told_on_stderr_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, MadeUp(POOR))
    assert err == "stillflow: warning: the picture is small\n"
    out, err = said(capsys, MadeUp(FAST), as_json=True)
    assert err.count("\n") == 1 and "strength of 0.5: too fast" in err
    assert json.loads(out)["warnings"] == warnings(cast("Loop", MadeUp(FAST)))


def test_futures_in_lines_and_in_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, MadeUp(), MadeUp(POOR))
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        f"{Path(name)}: 120 frames at 30 fps, 640x360, 8.0 s, 1.2 MB" for name in ("loop-1.mp4", "loop-2.mp4")
    ]
    assert err == "stillflow: warning: loop-2.mp4: the picture is small\n"
    found = json.loads(said(capsys, MadeUp(), MadeUp(POOR), as_json=True)[0])
    assert [one["output"] for one in found["futures"]] == ["loop-1.mp4", "loop-2.mp4"]


@pytest.mark.parametrize("as_json", [False, True])
def test_aside_when_stdout_carries_frames(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    out, err = said(capsys, MadeUp(POOR), output="-", as_json=as_json)
    assert out == ""
    assert "120" in err
    if as_json:
        assert json.loads(err)["warnings"] == ["the picture is small"]


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, MadeUp(POOR), quiet=True) == ("", "")


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ({}, None),
        ({"encoder": "libx264"}, None),
        ({"encoder": "h264_nvenc"}, "  encoded by h264_nvenc"),
        ({"encoder": "libx264", "encoder_why": "no NVENC"}, "  encoded by libx264: no NVENC"),
    ],
)
def test_who_encoded_is_told_where_a_gpu_could(
    runs: dict[str, str], line: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = MadeUp()
    loop.runs |= runs
    out, _ = said(capsys, loop)
    assert [text for text in out.splitlines() if "encoded" in text] == ([line] if line else [])
