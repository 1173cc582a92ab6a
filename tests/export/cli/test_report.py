# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stillflow_export import cli

GOLDEN = "tests/data/bundles/golden-1.0"


@pytest.fixture(autouse=True)
def no_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_writes_a_page_and_says_the_main_figures(source_tree: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "golden.html"
    assert cli.main(["report", str(source_tree / GOLDEN), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "flow fp32: 0.01 MB, 21 layers, 1,592 parameters, 20.3 MMAC at 320x192" in said
    assert "gates: 4 of 4 outputs passed" in said
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_json_holds_the_figures(source_tree: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "golden.html"
    arguments = ["report", str(source_tree / GOLDEN), "-o", str(out), "--engines", str(tmp_path), "--json"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["graphs"]["flow"]["variants"]["fp32"]["parameters"] == 1592
    assert found["engines"] == []
    assert found["file"] == str(out)


def test_mistakes_are_explained_and_nothing_is_written(
    source_tree: Path, tmp_path: Path, capsys: Any
) -> None:
    copy = Path(shutil.copytree(source_tree / GOLDEN, tmp_path / "copy"))
    (copy / "flow.onnx").write_bytes(b"x")
    good = str(source_tree / GOLDEN)
    for arguments, why in (
        ([good, "-o", str(tmp_path / "x.jpg")], "ends in '.jpg'"),
        ([good, "-o", str(tmp_path / "none" / "x.html")], "does not exist"),
        ([good, "-o", str(tmp_path / "x.html"), "--engines", str(tmp_path / "none")], "does not exist"),
        ([str(copy), "-o", str(tmp_path / "x.html")], "damaged or was changed"),
        ([str(tmp_path / "nothing"), "-o", str(tmp_path / "x.html")], "no such folder"),
    ):
        assert cli.main(["report", *arguments]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert "fix:" in said
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]
