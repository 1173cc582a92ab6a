# SPDX-License-Identifier: Apache-2.0
"""Options that commands share: guidance from words, and a progress bar for terminals only."""

from __future__ import annotations

import io
import sys

import click
import pytest

from stillflow.cli.options import Amount, progress_bar, to_guidance
from stillflow.errors import StillflowError
from stillflow.guidance import Arrow


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_guidance_of_words() -> None:
    guidance = to_guidance("a.png", None, ("0,0,1,1", "0.5,0.5,0.5,1,4"), 1.5, 9)
    assert guidance.mask == "a.png"
    assert guidance.arrows == (Arrow(0, 0, 1, 1), Arrow(0.5, 0.5, 0.5, 1, 4))
    assert (guidance.still, guidance.strength, guidance.seed) == (None, 1.5, 9)


def test_bad_words_are_refused() -> None:
    with pytest.raises(StillflowError, match="arrow"):
        to_guidance(None, None, ("0,0,1",), 1, 0)


@pytest.mark.parametrize("word", ["nan", "-nan", "-1", "x", ""])
def test_amounts_that_are_none(word: str) -> None:
    with pytest.raises(click.BadParameter):
        Amount(min=0).convert(word, None, None)


def test_amounts() -> None:
    assert [Amount(min=0).convert(word, None, None) for word in ("0", "1.5", "inf")] == [0, 1.5, float("inf")]


def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(shown=True) as progress:
        for done in range(1, 5):
            progress(done, 4)
    assert "Rendering" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO(), True), (Terminal(), False)])
def test_no_bar_elsewhere(stream: io.StringIO, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(shown=shown) as progress:
        progress(1, 4)
    assert stream.getvalue() == ""
