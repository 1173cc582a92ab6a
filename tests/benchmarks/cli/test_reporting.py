# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.cli.reporting import Keep, run, some
from stillflow_bench.report import Row, read_report

ROW = Row("kernels", "something", "ms", (1.0, 2.0, 3.0), part="a part")


def test_rows_are_kept_as_soon_as_they_are_there(tmp_path: Path) -> None:
    def measure(keep: Keep) -> list[Row]:
        keep([ROW])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(measure, tmp_path)
    (path,) = tmp_path.glob("*.json")
    assert [row["name"] for row in read_report(path)] == ["something"]


def test_the_table_is_printed_unless_it_should_be_quiet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(lambda _: [ROW], None)
    assert "| a part | something | 2 ms |" in capsys.readouterr().out
    run(lambda _: [ROW], tmp_path, quiet=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("wrote ") == 2


def test_no_photo_is_a_clear_error() -> None:
    assert some((Path("sea.jpg"),), "quality") == (Path("sea.jpg"),)
    with pytest.raises(StillflowError, match="no photo to measure"):
        some((), "quality")
