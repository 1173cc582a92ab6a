# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_bench.latency import sample
from stillflow_bench.latency.sample import Sample, read_hashed, read_samples, write_samples

TIMES = st.integers(0, 2**62)
SAMPLES = st.lists(
    st.builds(
        Sample,
        index=st.integers(0, 10**9),
        phase=st.sampled_from(["warm-up", "measured", "audit"]),
        input=st.integers(0, 99),
        issued=TIMES,
        done=TIMES,
        scheduled=st.none() | TIMES,
        lane=st.integers(0, 8),
        spans=st.dictionaries(st.text(max_size=12), TIMES, max_size=3),
        error=st.text(max_size=30),
    ),
    max_size=20,
)


@given(samples=SAMPLES)
def test_what_is_written_is_read_packed_or_not(
    samples: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("samples") / "inner" / "block.jsonl"
    write_samples(path, samples[:3])
    write_samples(path, samples[3:], append=True)
    assert read_samples(path) == samples
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_samples(packed) == samples
    assert read_hashed(packed)[1] == read_hashed(path)[1]


def test_latency_counts_from_when_it_should_have_begun() -> None:
    assert Sample(0, "measured", 0, issued=50, done=90).latency == 40
    late = Sample(0, "measured", 0, issued=50, done=90, scheduled=10)
    assert (late.latency, late.service) == (80, 40)


GOOD = b'{"index":0,"phase":"measured","input":0,"issued":1,"done":2}\n'


def test_a_field_of_a_newer_minor_schema_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "block.jsonl"
    path.write_bytes(GOOD + GOOD.replace(b'"done":2', b'"done":2,"weather":"fair"'))
    assert read_samples(path)[1:] == read_samples(path)[:1]


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        GOOD.replace(b"measured", b"dropped"),
        GOOD.replace(b'"done":2', b'"done":"2"'),
        GOOD.replace(b'"done":2', b'"done":2.5'),
        GOOD.replace(b',"done":2', b""),
        GOOD[:-8],
        b"\xff\xfe",
        b"",
        b"[" * 10_000,
    ],
)
def test_a_line_that_is_no_sample_is_named(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "block.jsonl"
    path.write_bytes(GOOD + line.rstrip(b"\n") + b"\n" + GOOD)
    with pytest.raises(StillflowError, match="line 2"):
        read_samples(path)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MOST_BYTES", 10_000)
    path = tmp_path / "block.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD * 1000))
    with pytest.raises(StillflowError, match="more than"):
        read_samples(path)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(GOOD * 50)[:-9], gzip.compress(GOOD)[:5]])
def test_a_damaged_archive_and_a_missing_file_are_said(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "block.jsonl.gz"
    path.write_bytes(data)
    for asked in (path, tmp_path / "none.jsonl"):
        with pytest.raises(StillflowError, match="cannot read the samples"):
            read_samples(asked)
