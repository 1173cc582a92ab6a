# SPDX-License-Identifier: Apache-2.0
"""Names of baked scenes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillflow.baked.target import check_scene_target, page_of
from stillflow.errors import StillflowError


def test_a_new_name_is_taken(tmp_path: Path) -> None:
    assert check_scene_target(tmp_path / "a.SFLOW") == tmp_path / "a.SFLOW"


@pytest.mark.parametrize("name", ["a.mp4", "a", "a.sflow/", "..", ""])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    if name == "a.sflow/":
        (tmp_path / name).mkdir()
    with pytest.raises(StillflowError, match="cannot write"):
        check_scene_target(tmp_path / name)


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.sflow"
    path.write_bytes(b"precious")
    with pytest.raises(StillflowError, match="it exists already"):
        check_scene_target(path)
    check_scene_target(path, overwrite=True)
    with pytest.raises(StillflowError, match="photo itself"):
        check_scene_target(path, path, overwrite=True)


def test_a_page_that_is_there_stays_too(tmp_path: Path) -> None:
    path = tmp_path / "a.sflow"
    assert page_of(path) == tmp_path / "a.html"
    page_of(path).write_bytes(b"precious")
    assert check_scene_target(path) == path
    with pytest.raises(StillflowError, match="it exists already"):
        check_scene_target(path, page=True)
    assert check_scene_target(path, page=True, overwrite=True) == path
