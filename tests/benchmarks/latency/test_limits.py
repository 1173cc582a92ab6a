# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.limits import Limits, parse_limits

NAMES = [field.name for field in msgspec.structs.fields(Limits)]


def test_limits_are_read_by_name() -> None:
    assert parse_limits("") == Limits()
    found = parse_limits(" windows_stable=15 , photos=8,")
    assert (found.windows_stable, found.photos, found.stall) == (15.0, 8, Limits().stall)


@pytest.mark.parametrize(
    "text",
    [
        "stable=1",
        "windows_stable",
        "photos=many",
        "photos=1.5",
        "stall=-1",
        "stall=nan",
        "stall=inf",
        "windows=1",
        "windows=5000",
        "=3",
    ],
)
def test_what_is_no_limit_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(StillflowError) as caught:
        parse_limits(text)
    assert "windows_stable" in caught.value.fix


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_has_its_reason(name: str) -> None:
    assert Limits.__doc__ is not None
    assert f"        {name}: " in Limits.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_limits_survive_json(name: str) -> None:
    moved = msgspec.structs.replace(Limits(), **{name: 7})
    assert msgspec.json.decode(msgspec.json.encode(moved), type=Limits) == moved
