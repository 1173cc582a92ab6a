# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_export.checkpoints.sources import SOURCES


def test_every_source_states_its_terms() -> None:
    for key, source in SOURCES.items():
        assert source.key == key
        assert source.licence
        assert source.note


def test_what_is_not_granted_is_said() -> None:
    assert SOURCES["slr"].licence.startswith("LicenseRef-")
    assert "no licence" in SOURCES["slr"].note
    assert (SOURCES["t2c"].licence, SOURCES["3dc"].licence) == ("MIT", "Apache-2.0")
    assert all("own terms" in SOURCES[key].note for key in ("slr", "t2c", "3dc"))
