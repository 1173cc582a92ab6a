# SPDX-License-Identifier: Apache-2.0
"""What is said of builds: lines everywhere, and progress on a terminal alone."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.cli.building import told_orders
from stillflow.errors import StillflowError
from stillflow.sessions import choice
from stillflow.sessions.choice import Choice


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "drawn", "progress"),
    [(Terminal(), True, "  parsing 1/3"), (Terminal(), False, ""), (io.StringIO(), True, "")],
)
def test_a_line_and_progress(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, drawn: bool, progress: str
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    orders = told_orders(force=True, timeout=3.0, drawn=drawn)
    assert (orders.force, orders.timeout) == (True, 3.0)
    orders.progress("parsing", 1, 3)
    assert stream.getvalue().replace("\r", "").replace("\x1b[K", "") == progress
    orders.say("flow fp16: building")
    assert stream.getvalue().endswith("stillflow: flow fp16: building\n")


@pytest.mark.parametrize("command", ["run", "verify"])
def test_engines_that_were_asked_for_are_built_before_a_graph_is_run(
    command: str, stillflow: Callable, source_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = source_tree / "tests" / "data" / "bundles" / "golden-1.0"
    asked: list[tuple[object, ...]] = []

    def build(bundle: object, *words: object) -> None:
        asked.append(words[:-1])
        raise StillflowError("cannot build here", "there is no GPU", "buy one")

    def chosen(*_: object, **__: object) -> Choice:
        return Choice("tensorrt", "cuda:1", {"flow": "fp16"}, build=("flow",))

    monkeypatch.setattr(choice, "choose", chosen)
    monkeypatch.setattr("stillflow.build.rebuild.build_missing", build)
    words = ("flow", "--inputs", golden / "vectors" / "flow-0.npz", "-o", tmp_path / "out.npz")
    stillflow("bundle", command, golden, *(words if command == "run" else ())).refused("cannot build here")
    assert asked == [("flow", "tensorrt", "fp16", 1)]
