# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from stillflow.bundle import json_schema
from stillflow_export import cli


def test_schema(tmp_path: Path) -> None:
    assert cli.main(["schema", "-o", str(tmp_path / "schema.json")]) == 0
    assert (tmp_path / "schema.json").read_bytes() == json_schema()
