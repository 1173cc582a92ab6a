# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.receipt import (
    MAX_BYTES,
    CheckpointFile,
    ImportReceipt,
    TensorCounts,
    encode_receipt,
    parse_receipt,
)


def receipt(**fields: Any) -> ImportReceipt:
    said: dict[str, Any] = {
        "family": "hinted_flow", "width": 32, "source": "slr", "source_name": "SLR-SFS", "source_url": "",
        "licence": "MIT", "licence_note": "", "sha256": "0" * 64, "weights_sha256": "1" * 64,
        "checkpoint": CheckpointFile(name="a.pth", bytes=3, container="zip, bare"), "options": {"scale": 1.0},
        "tensors": TensorCounts(used=142, ignored=("netD.x",)), "parameters": 7, "loop": {"weight_floor": None},
    }  # fmt: skip
    return ImportReceipt(**{**said, **fields})


def test_what_is_written_is_read() -> None:
    made = receipt(assumed=("a sentence",), training={"step": 5})
    assert parse_receipt(encode_receipt(made), "a") == made
    plain = json.loads(encode_receipt(made))
    assert plain["format"] == "stillflow-weights"
    assert plain["tensors"] == {"used": 142, "ignored": ["netD.x"]}


WRONG: dict[str, tuple[Any, str]] = {
    "another format": ({"format": "other"}, "not valid"),
    "newer": ({"version": 2}, "version 2"),
    "width of nothing": ({"width": 0}, "not valid"),
    "huge width": ({"width": 10**9}, "not valid"),
    "no hash": ({"sha256": "x"}, "not valid"),
    "hash with a line break": ({"sha256": "0" * 64 + "\n"}, "not valid"),
    "options that are a list": ({"options": [1]}, "not valid"),
    "nested options": ({"options": {"a": {}}}, "not valid"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_receipts_are_refused(kind: str) -> None:
    fields, why = WRONG[kind]
    data = json.dumps({**json.loads(encode_receipt(receipt())), **fields}).encode()
    with pytest.raises(StillflowError, match=why):
        parse_receipt(data, "a")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (MAX_BYTES + 1)])
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(StillflowError, match="cannot use the weights a"):
        parse_receipt(data, "a")


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StillflowError):
        parse_receipt(data, "a")
