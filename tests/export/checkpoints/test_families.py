# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_export.checkpoints.families import FAMILIES
from stillflow_export.checkpoints.sources import SOURCES
from stillflow_export.load import _FAMILIES


def test_every_family_can_be_read_back() -> None:
    assert set(FAMILIES) == set(_FAMILIES)


def test_files_of_one_source_have_names_of_their_own() -> None:
    assert len({family.part for family in FAMILIES.values()}) == len(FAMILIES)
    assert {source for family in FAMILIES.values() for source in family.sources} == set(SOURCES)
