# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stillflow_bench.machine import Provenance
from stillflow_bench.report import Row, as_json, markdown, number, write_report


@pytest.fixture
def about() -> Provenance:
    return Provenance(
        machine="tin-can-2core",
        cpu="Tin Can",
        cores=2,
        memory_gib=4.0,
        system="Linux 6 x86_64",
        python="3.11.0",
        versions={"numpy": "2.0"},
        commit="0123456789ab",
        command="stillflow-bench kernels",
        date="2026-01-02T03:04:05Z",
        load=0.1,
    )


def test_value_is_the_median_and_limits_have_a_side() -> None:
    assert Row("s", "n", "ms", (3.0, 1.0, 20.0)).value == 3.0
    assert Row("s", "n", "ms", (2.0,), limit=2.0).holds is True
    assert Row("s", "n", "ms", (2.1,), limit=2.0).holds is False
    assert Row("s", "n", "", (0.89,), limit=0.9, side="at least").holds is False
    assert Row("s", "n", "", (2.0,)).holds is None


def test_a_row_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        Row("s", "n", "ms", ())


def test_every_row_carries_every_sample_and_its_provenance(about: Provenance) -> None:
    (row,) = as_json([Row("kernels", "compose", "ms", (5.0, 4.0, 90.0), {"size": "720p"}, 10.0)], about)
    assert row["samples"] == (5.0, 4.0, 90.0)
    assert row["value"] == 5.0
    assert row["holds"] is True
    assert {"machine", "cpu", "commit", "versions", "command", "date", "load"} <= set(row)


def test_a_second_suite_of_the_day_joins_the_report(tmp_path: Path, about: Provenance) -> None:
    write_report(tmp_path, [Row("kernels", "a", "ms", (1.0,)), Row("kernels", "b", "ms", (1.0,))], about)
    write_report(tmp_path, [Row("startup", "c", "s", (1.0,))], about)
    path, table = write_report(
        tmp_path, [Row("kernels", "a", "ms", (2.0,))], replace(about, commit="changed")
    )
    rows = json.loads(path.read_text())["rows"]
    assert [(row["suite"], row["name"], row["value"]) for row in rows] == [
        ("startup", "c", 1.0),
        ("kernels", "a", 2.0),
    ]
    assert path.name == "tin-can-2core-2026-01-02.json"
    assert "commit changed" in table.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, table.name])


def test_markdown_marks_what_misses_its_limit(about: Provenance) -> None:
    text = markdown(as_json([Row("startup", "first frame", "s", (2.5, 2.4, 2.6), limit=2.0)], about))
    assert "| first frame | 2.5 s | 2.4 | 2.6 | 3 | at most 2 s | **no** |" in text
    assert "Tin Can, 2 usable cores" in text


def test_markdown_puts_methods_of_a_photo_in_lines(about: Provenance) -> None:
    rows = [
        Row(
            "quality", "detail, least", "", (0.95,), {"photo": "sea", "method": "stillflow"}, 0.9, "at least"
        ),
        Row("quality", "flicker", "levels", (0.5,), {"photo": "sea", "method": "stillflow"}),
        Row("quality", "detail, least", "", (0.6,), {"photo": "sea", "method": "plain warp"}),
    ]
    text = markdown(as_json(rows, about))
    assert "| photo | method | detail, least | flicker, levels |" in text
    assert "| sea | stillflow | 0.95 | 0.5 |" in text
    assert "| sea | plain warp | 0.6 |  |" in text
    assert "|  | to reach | at least 0.9 |  |" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (0.98765, "0.9877"),
        (1234.5678, "1235"),
        (0.000012345, "0.000012"),
        (40.0, "40"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers_are_short_and_plain(value: float, text: str) -> None:
    assert number(value) == text
