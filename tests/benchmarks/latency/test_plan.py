# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from stillflow_bench.latency.plan import Block, Load, Plan
from stillflow_bench.latency.target import TargetSpec

SPEC = TargetSpec("fake", "B2.call")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", ".hidden", "x" * 81, "a b", "a\n", "-o"])
def test_a_block_is_never_called_what_would_lead_out_of_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="name of a block"):
        Block(name, "title", "ours", SPEC)
    told = {"name": name, "title": "", "role": "ours", "target": {"kind": "fake", "boundary": "B2.call"}}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, Block)


def test_a_plan_survives_a_file_and_knows_no_other_words() -> None:
    plan = Plan(
        "own", (Block("ours-b2", "Ours", "ours", SPEC, Load("server", rate=5.0)),), sources={"rate": "cli"}
    )
    data = msgspec.json.encode(plan)
    assert msgspec.json.decode(data, type=Plan) == plan
    for wrong in (b'"single_stream"', b'"own"', b'"B2.call"', b'"ours"'):
        if wrong in data and wrong != b'"own"':
            with pytest.raises(msgspec.ValidationError):
                msgspec.json.decode(data.replace(wrong, b'"nonsense"', 1), type=Plan)
