# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

from stillflow_bench import machine


def test_provenance_says_where_a_figure_comes_from() -> None:
    about = machine.provenance("stillflow-bench kernels")
    assert about.cores >= 1
    assert about.memory_gib > 0
    assert about.cpu
    assert re.fullmatch(r"[a-z0-9-]+-\d+core", about.machine)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", about.date)
    assert set(about.versions) == set(machine.PACKAGES)
    assert about.versions["numpy"] != "absent"
    assert about.command == "stillflow-bench kernels"


def test_commit_is_unknown_outside_of_a_checkout(tmp_path: Path) -> None:
    assert machine.commit(tmp_path) == "unknown"


def test_own_command_names_no_folder(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/stillflow-bench", "quality", "my photo.jpg"])
    assert machine.own_command() == "stillflow-bench quality 'my photo.jpg'"
