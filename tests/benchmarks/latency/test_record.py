# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency import record as records
from stillflow_bench.latency.percentile import summarise
from stillflow_bench.latency.plan import Block, Plan
from stillflow_bench.latency.record import (
    Host,
    Look,
    Measured,
    Record,
    Tool,
    block_samples,
    read_record,
    read_telemetry,
    seal_of,
    write_record,
)
from stillflow_bench.latency.sample import Sample, write_samples
from stillflow_bench.latency.target import TargetSpec

BLOCK = Block("ours-b2", "Ours", "ours", TargetSpec("fake", "B2.call"))


@pytest.fixture
def record() -> Record:
    measured = Measured(BLOCK, samples=3, summaries={"B2.call": summarise([1.0, 2.0, 3.0])}, began=1, ended=9)
    host = Host("tin-can-2core", "Tin Can", 2, 4.0, "Linux 6 x86_64", "3.11.0", {"numpy": "2.0"})
    tool = Tool("0.1.0", "0123456789ab", "stillflow-bench run", "2026-01-02T03:04:05Z")
    return Record(records.SCHEMA, tool, host, Plan("own", (BLOCK,)), (measured,), Look(0, load=0.1), Look(10))


def test_a_record_survives_its_file(record: Record, tmp_path: Path) -> None:
    write_record(tmp_path / "run", record)
    read = read_record(tmp_path / "run")
    assert len(read.seal) == 64 and msgspec.structs.replace(read, seal="") == record


NAMES_ARE_FREE = ("options", "sources", "versions", "gpu", "hashes", "receipts", "notes", "summaries", "percentiles",
                  "bounds", "precision")  # fmt: skip


def newer(told: Any, name: str = "") -> Any:
    """The same with one field more in every part of it."""
    if isinstance(told, list):
        return [newer(one) for one in told]
    if not isinstance(told, dict):
        return told
    more = {} if name in NAMES_ARE_FREE else {"weather": "fair"}
    return {key: newer(one, key) for key, one in told.items()} | more


def test_fields_of_a_newer_minor_schema_are_passed_over_and_a_major_one_is_refused(
    record: Record, tmp_path: Path
) -> None:
    path = write_record(tmp_path, record)
    told = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**newer(told), "schema": "1.7"}))
    assert msgspec.structs.replace(read_record(tmp_path), schema=record.schema, seal="") == record
    path.write_bytes(msgspec.json.encode({**told, "schema": "2.0"}))
    with pytest.raises(StillflowError, match=r"schema '2\.0'"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"ours-b2"', '"../../etc/passwd"'),
        lambda text: text.replace('"Tin Can"', "7"),
        lambda text: text.replace('"samples": 3', '"samples": "three"'),
        lambda text: text.replace('"schema": "1.0"', '"schema": []'),
        lambda text: "[1, 2]",
        lambda text: "",
        lambda text: "\x00" * 100,
    ],
)
def test_a_damaged_or_hostile_record_is_refused(record: Record, tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = write_record(tmp_path, record)
    path.write_text(damage(path.read_text()))
    with pytest.raises(StillflowError, match="cannot read the run"):
        read_record(tmp_path)


def test_a_folder_without_a_run_and_a_huge_record_are_refused(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StillflowError, match="cannot read the run"):
        read_record(tmp_path)
    write_record(tmp_path, record)
    monkeypatch.setattr(records, "MOST_RESULT_BYTES", 100)
    with pytest.raises(StillflowError, match="larger than"):
        read_record(tmp_path)


def test_samples_are_found_packed_or_not_and_a_missing_block_has_none(record: Record, tmp_path: Path) -> None:
    sample = Sample(0, "measured", 0, 1, 2)
    plain = records.sample_path(tmp_path, "ours-b2")
    write_samples(plain, [sample])
    (measured,) = record.measured
    assert block_samples(tmp_path, measured) == [sample]
    import gzip

    plain.with_suffix(".jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert block_samples(tmp_path, measured) == [sample]
    assert block_samples(tmp_path, msgspec.structs.replace(measured, missing="no GPU")) == []


def test_telemetry_is_read_line_by_line(tmp_path: Path) -> None:
    assert read_telemetry(tmp_path) == []
    looks = [Look(0, load=0.5), Look(5, gpu={"clocks": {"sm": 1300}})]
    path = tmp_path / records.TELEMETRY
    path.write_bytes(b"".join(msgspec.json.encode(look) + b"\n" for look in looks))
    assert read_telemetry(tmp_path) == looks
    path.write_bytes(b'{"at": "noon"}\n')
    with pytest.raises(StillflowError, match=r"telemetry\.jsonl"):
        read_telemetry(tmp_path)


def test_the_seal_is_of_what_is_said_not_of_how_it_is_spaced(record: Record, tmp_path: Path) -> None:
    data = write_record(tmp_path, record).read_bytes()
    told = msgspec.json.decode(data)
    assert seal_of(data) == seal_of(msgspec.json.encode(told)) == told["seal"]
    assert seal_of(msgspec.json.encode({**told, "interrupted": True})) != told["seal"]
    assert seal_of(msgspec.json.encode({**told, "new in 1.7": 0})) != told["seal"]
