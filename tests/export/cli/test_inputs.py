# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_export.cli.inputs import photos_in, with_weights_stored
from stillflow_export.graphs import own_trained
from stillflow_export.networks.flow import build_flow_network


def test_how_weights_are_stored_can_be_said() -> None:
    trained = own_trained("flow", build_flow_network())
    assert with_weights_stored(trained, None) is trained
    assert not with_weights_stored(trained, False).plans[0].half_weights
    assert with_weights_stored(with_weights_stored(trained, False), True).plans[0].half_weights


def test_photos_are_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in photos_in(tmp_path)] == ["a.PNG", "b.jpg"]
    with pytest.raises(StillflowError, match="not a folder"):
        photos_in(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StillflowError, match=r"no \.jpg"):
        photos_in(tmp_path / "empty")
