# SPDX-License-Identifier: Apache-2.0
"""The summary of a loop, on a loop made by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stillflow.animator import Loop
from stillflow.cli.summary import print_summary


class MadeUp:
    """What the summary reads of a Loop."""

    def __init__(self, share: float) -> None:
        self.fps, self.moving_share = 30.0, share
        self.scene = SimpleNamespace(width=640, height=360, speed_scale=1.0)
        self.seconds = {"read": 0.25, "video": 1.0}
        self.runs = {"bundle": "edge", "engine": "onnxruntime", "provider": "CPU", "velocity": "rbf"}
        self.suitability = SimpleNamespace(score=1, reasons=("the picture is blurred",))

    def __len__(self) -> int:
        return 120


def said(
    capsys: pytest.CaptureFixture[str], output: str = "loop.mp4", share: float = 0.3, **how: Any
) -> tuple[str, str]:
    print_summary(
        cast("Loop", MadeUp(share)), output, 2, 1_234_567, **({"as_json": False, "quiet": False} | how)
    )
    return capsys.readouterr()


def test_words(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys)
    assert err == ""
    assert "loop.mp4: 120 frames at 30 fps, 640x360, 8.0 s, 1.2 MB" in out
    assert "30 % of the picture" in out
    assert "parts: velocity by rbf" in out
    assert "1 of 3" in out
    assert "- the picture is blurred" in out
    assert "took 1.25 s: read 0.25, video 1.00" in out


def test_nothing_moves_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--mask" in said(capsys, share=0.0)[0]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, as_json=True)[0])
    assert (found["bytes"], found["loops"], found["frames"]) == (1_234_567, 2, 120)


@pytest.mark.parametrize("as_json", [False, True])
def test_aside_when_stdout_carries_frames(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    out, err = said(capsys, output="-", as_json=as_json)
    assert out == ""
    assert "120" in err


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, quiet=True) == ("", "")
