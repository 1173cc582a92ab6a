# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from stillflow.bundle import json_schema
from stillflow_export import cli


def test_schema(tmp_path: Path) -> None:
    assert cli.main(["schema", "-o", str(tmp_path / "schema.json")]) == 0
    assert (tmp_path / "schema.json").read_bytes() == json_schema()


def test_nothing_else_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    assert cli.main(["schema", "-o", str(tmp_path / "photo.jpg")]) == 2
    assert (tmp_path / "photo.jpg").read_bytes() == b"photo"
