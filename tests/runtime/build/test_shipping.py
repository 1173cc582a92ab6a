# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.build.builder import Engine
from stillflow.build.shipping import check_folder, ship
from stillflow.errors import StillflowError

pytestmark = pytest.mark.usefixtures("seeded")


def test_engine_and_sidecars(build: Callable[..., Engine], tmp_path: Path) -> None:
    engine, out = build(), tmp_path / "new" / "out"
    check_folder(out)
    (path,) = ship([engine], "l4", out, overwrite=False)
    assert path.name == "golden-flow-fp32-l4.engine"
    sidecar = json.loads(Path(f"{path}.json").read_text())
    assert sidecar["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(p.name.removeprefix(path.name) for p in out.iterdir()) == [
        "",
        ".gate-c.json",
        ".json",
        ".layers.json",
    ]


def test_what_exists_is_replaced_only_when_asked(build: Callable[..., Engine], tmp_path: Path) -> None:
    engine = build()
    (path,) = ship([engine], "l4", tmp_path, overwrite=False)
    path.write_bytes(b"old")
    with pytest.raises(StillflowError, match="it exists"):
        ship([engine], "l4", tmp_path, overwrite=False)
    assert path.read_bytes() == b"old"
    ship([engine], "l4", tmp_path, overwrite=True)
    assert path.read_bytes() == engine.path.read_bytes()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StillflowError, match="cannot write engines into"):
        check_folder(tmp_path / "file" / "deep")
