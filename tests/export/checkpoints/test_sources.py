# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_export.checkpoints.sources import SOURCES
from stillflow_export.cli.import_ import SOURCES as OFFERED


def test_every_source_is_offered_with_its_terms() -> None:
    assert tuple(SOURCES) == OFFERED
    for key, source in SOURCES.items():
        assert source.key == key
        assert source.licence
        assert source.note


def test_what_is_not_granted_is_said() -> None:
    assert SOURCES["slr"].licence.startswith("LicenseRef-")
    assert "no licence" in SOURCES["slr"].note
    assert (SOURCES["t2c"].licence, SOURCES["3dc"].licence) == ("MIT", "Apache-2.0")
    assert all("own terms" in SOURCES[key].note for key in ("slr", "t2c", "3dc"))
