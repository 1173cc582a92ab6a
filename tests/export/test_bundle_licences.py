# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from stillflow.bundle.manifest import Licence
from stillflow_export.bundle_licences import licences_of
from stillflow_export.bundle_parts import Parts
from stillflow_export.graphs import own_trained
from stillflow_export.plan import Trained

PHOTOS = {
    "photos": [{"file": "photos/a.jpg", "author": "Ann", "licence": "CC-BY-2.0", "source": "somewhere"}]
}


@pytest.fixture
def own() -> Trained:
    return own_trained("flow", nn.Identity(), None, PHOTOS)


def test_our_own_networks_are_under_our_licence_and_credit_the_photos(tmp_path: Path, own: Trained) -> None:
    parts = Parts(tmp_path)
    ours, photos = licences_of(parts, [own])
    assert (ours.covers, ours.spdx) == ("graphs, weights, test vectors, receipts", "Apache-2.0")
    assert ours.file is not None
    assert b"Apache License" in (tmp_path / ours.file).read_bytes()
    assert photos.file is not None
    assert "a.jpg: Ann, CC-BY-2.0, somewhere" in (tmp_path / photos.file).read_text()


def test_weights_from_elsewhere_say_what_is_known_of_them(
    tmp_path: Path, own: Trained, imported_generator: Trained
) -> None:
    parts = Parts(tmp_path)
    ours, theirs, _ = licences_of(parts, [own, imported_generator])
    assert ours.covers == "the graphs flow with their weights, test vectors and receipts"
    assert theirs.spdx == "LicenseRef-none-granted"
    assert "the graphs encoder, decoder" in theirs.covers
    assert theirs.file == "LICENSES/encoder-weights.txt"
    text = (tmp_path / theirs.file).read_text()
    for said in ("somebody's checkpoint", "LicenseRef-none-granted", "ask the authors"):
        assert said in text


def test_the_text_of_a_known_licence_comes_along(tmp_path: Path, imported_flow: Trained) -> None:
    parts = Parts(tmp_path)
    licences_of(parts, [replace(imported_flow, licence="Apache-2.0")])
    assert set(parts.files) == {"LICENSES/Apache-2.0.txt", "LICENSES/scene_flow-weights.txt"}


def test_what_was_copied_keeps_its_entries_and_files(tmp_path: Path, own: Trained) -> None:
    parts = Parts(tmp_path)
    parts.add("LICENSES/training-photos.txt", b"others")
    there = Licence(covers="the graphs generator", spdx="Apache-2.0", file="LICENSES/training-photos.txt")
    found = licences_of(parts, [own], [there])
    assert found[-1] == there
    assert len({licence.file for licence in found}) == len(found) == 3
    assert (tmp_path / "LICENSES/training-photos.txt").read_bytes() == b"others"
