# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from stillflow_bench.machine import Provenance
from stillflow_bench.report import Row, as_json
from stillflow_bench.tables import markdown, number


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


def test_a_short_table_has_every_method_of_a_photo_in_a_cell(about: Provenance) -> None:
    def row(name: str, photo: str, method: str, value: float) -> Row:
        return Row(
            "quality", name, "dB" if "PSNR" in name else "", (value,), {"photo": photo, "method": method}
        )

    rows = [
        row("detail, least", "sea", "stillflow", 0.95),
        row("detail, least", "sea", "plain warp", 0.6),
        row("PSNR where it truly moves", "sky", "plain warp", 20.0),
        row("flicker", "sea", "plain warp", 0.5),
        row("angular error", "sea", "stillflow", 30.0),
        row("matte IoU", "sky", "stillflow", 0.7),
    ]
    lines = markdown(as_json(rows, about)).splitlines()
    start = lines.index("In each cell: stillflow / plain warp.")
    assert lines[start + 2] == (
        "| photo | detail, least | PSNR where it truly moves, dB | angular error | matte IoU |"
    )
    assert lines[start + 4 : start + 6] == [
        "| sea | 0.95 / 0.6 |  | 30 / - |  |",
        "| sky |  | - / 20 |  | 0.7 / - |",
    ]
    assert "In each cell" not in markdown(as_json(rows[:4], about))


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


def figure(name: str, *samples: float, photos: tuple[str, ...] = (), **more: object) -> Row:
    parameters = {"photos": list(photos)} if photos else {}
    return Row("quality", name, "", samples, parameters, part="labels", summary="mean", **more)  # type: ignore[arg-type]


def test_a_figure_stands_beside_its_baselines_and_its_aim(about: Provenance) -> None:
    row = figure("IoU", 0.5, 0.7, limit=0.75, side="at least", baselines={"all": 0.55, "none": 0.0})
    text = markdown(as_json([row], about))
    assert (
        "| labels | IoU | 0.6 | all: 0.55; none: 0 | at least 0.75 | **no** | mean of 2 | 0.5 | 0.7 |" in text
    )


def test_an_aim_says_where_it_comes_from(about: Provenance) -> None:
    row = figure("error", 0.3, limit=0.4, aim="20 % below rbf", baselines={"rbf": 0.5})
    assert "| rbf: 0.5 | at most 0.4 (20 % below rbf) | yes |" in markdown(as_json([row], about))


def test_what_could_not_be_measured_is_in_the_table(about: Provenance) -> None:
    row = Row("quality", "velocity", "", (), part="velocity", missing="torch is not installed")
    text = markdown(as_json([row, figure("IoU", 0.5)], about))
    assert "| velocity | velocity | not measured | torch is not installed |" in text
    assert "| labels | IoU | 0.5 |" in text


def test_photos_stand_in_lines_from_the_worst_on(about: Provenance) -> None:
    rows = [
        figure("IoU", 0.9, 0.2, 0.5, photos=("sea", "tree", "sky"), limit=0.75, side="at least"),
        figure("angle", 12.0, 80.0, photos=("tree", "stone")),
    ]
    lines = markdown(as_json(rows, about)).splitlines()
    start = lines.index("| photo | IoU | angle |") + 2
    assert lines[start:] == [
        "| tree | 0.2 | 12 |",
        "| sky | 0.5 |  |",
        "| sea | 0.9 |  |",
        "| stone |  | 80 |",
    ]


def test_a_column_that_is_nothing_else_is_no_figure(about: Provenance) -> None:
    photos = {"photos": ["sea"], "by photo only": True}
    rows = [figure("IoU", 0.9, photos=("sea",)), Row("quality", "chance", "", (0.4,), photos, part="verdict")]
    text = markdown(as_json(rows, about))
    assert "| sea | 0.9 | 0.4 |" in text
    assert "| verdict |" not in text


def test_runs_of_a_suite_are_told_apart(about: Provenance) -> None:
    first = as_json([figure("IoU", 0.5)], about)
    second = as_json([figure("IoU", 0.6)], replace(about, commit="later", load=3.0))
    text = markdown([*first, *second])
    assert text.count("## quality") == 1
    assert text.index("at commit 0123456789ab") < text.index("| 0.5 |") < text.index("at commit later")
    assert text.index("at commit later") < text.index("| 0.6 |")


def test_rows_of_an_older_file_are_still_shown(about: Provenance) -> None:
    (row,) = as_json([Row("startup", "first frame", "s", (2.0,))], about)
    old = {k: v for k, v in row.items() if k not in ("part", "summary", "baselines", "aim", "missing")}
    assert markdown([old]) == markdown([row])
