# SPDX-License-Identifier: Apache-2.0
"""Every part of the suite, at sizes where figures mean nothing: on a GPU machine nothing may fail for a slip."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow_bench import cli
from stillflow_bench.gpu import imported, suite
from stillflow_bench.gpu.plan import Plan, tiny_plan
from stillflow_bench.gpu.stage import NOTHING_TO_DO
from stillflow_bench.gpu.steps import PARTS
from stillflow_bench.report import Row

from .host_engine import host_engine  # noqa: F401

TINY = tiny_plan(Plan(imported=None))


@pytest.fixture
def golden(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "bundles" / "golden-1.1"


def checked(rows: list[Row], part: str) -> dict[str, Row]:
    assert rows
    for row in rows:
        assert (row.suite, row.part) == ("gpu", part)
        assert all(map(math.isfinite, row.samples))
        json.dumps(row.parameters, allow_nan=False)
    return {row.name: row for row in rows}


def measured(rows: dict[str, Row]) -> list[str]:
    return [name for name, row in rows.items() if not row.missing]


@pytest.mark.device
@pytest.mark.parametrize("part", ["copy", "frames", "overhead", "steady"])
def test_a_part_without_networks_measures_all_of_it(part: str) -> None:
    rows = checked(suite.measure(part, TINY), part)
    assert measured(rows) == list(rows)
    about = next(iter(rows.values())).parameters
    assert about["tiny"] is True
    assert set(about["surroundings"]) == {"before", "after"}
    assert all(row.parameters["warm_up"] for row in rows.values())
    assert any(row.limit is not None for row in rows.values()) or part == "copy"


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_networks_are_timed_on_the_device_and_from_the_host() -> None:
    rows = checked(suite.measure("networks", TINY), "networks")
    assert measured(rows) == [
        f"{what}, onnxruntime {precision}, {where}"
        for precision in ("fp32", "fp16")
        for what, where in (
            ("flow and generator", "calls from the host"),
            ("flow and generator", "on the device"),
            ("flow", "on the device"),
            ("generator", "on the device"),
        )
    ]
    limits = {name: row.limit for name, row in rows.items() if row.limit is not None}
    assert all("fp16" in name for name in limits) and set(limits.values()) == {4.0}
    assert "it is not installed" in rows["flow and generator, tensorrt fp16"].missing


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_latency_is_told_as_a_whole_and_by_stage() -> None:
    rows = checked(suite.measure("latency", TINY), "latency")
    whole = rows["photo to first frame, onnxruntime fp16"]
    assert whole.limit == 8.0
    assert whole.parameters["runs"]["engine"] == "onnxruntime"
    stages = [name for name in rows if name.startswith("photo to first frame, onnxruntime fp16: ")]
    assert {name.split(": ")[1] for name in stages} == {"read", "motion", "assess", "scene", "first frame"}
    assert sum(rows[name].samples[0] for name in stages) <= whole.samples[0]


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_frames_agree_with_the_cpus() -> None:
    rows = checked(suite.measure("agreement", TINY), "agreement")
    assert rows["the same scene on both: largest difference"].value <= 1
    assert rows["the same scene on both, PSNR"].holds
    assert rows["from the photo on, onnxruntime fp32 against the CPU in fp32"].holds


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_an_imported_generator_is_played_and_decoded(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = {"fp32": 3.0, "fp32 with TF32": 2.0, "fp16": 1.0}
    monkeypatch.setattr(imported, "torch_rows", lambda *_: ([], eager))
    monkeypatch.setattr(imported, "matrix_peak", lambda _: 1e12)
    rows = checked(suite.measure("imported", tiny_plan(Plan(imported=golden))), "imported")
    name = "onnxruntime fp32"
    played = rows[f"frame in host memory, everything moving, {name}"]
    times = rows[f"frame, everything moving, {name}: times as fast as eager PyTorch in fp32"]
    assert times.samples == tuple(3.0 / ms for ms in played.samples)
    decoded = rows[f"decoder of 128x72 pixels, {name}"]
    share = rows[f"decoder, {name}: share of the matrix units' peak"]
    macs = share.parameters["macs"]
    assert share.samples == pytest.approx([2 * macs / (ms * 1e-3) / 1e12 for ms in decoded.samples])
    half = rows["decoder, onnxruntime fp16: share of the matrix units' peak"]
    assert half.limit == 0.3
    assert "fp16" in half.missing


def test_eager_pytorch_is_timed_or_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        assert "no CUDA" in imported.no_torch()
        assert imported.matrix_peak(TINY) == imported.no_torch()
    monkeypatch.setattr(imported, "no_torch", lambda: "")
    once = replace(TINY, repeats=1, warm_up=0)
    rows, found = imported.torch_rows({}, once, "cpu")
    assert [row.name for row in rows] == [f"eager PyTorch's decoder, {label}" for label in found]
    assert all(ms > 0 for ms in found.values())
    assert imported.matrix_peak(once, "cpu") > 0


@pytest.mark.device
def test_a_part_that_breaks_says_so_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillflow_bench.gpu.bandwidth.measure", lambda *_: 1 / 0)
    (row,) = suite.measure("copy", TINY)
    assert row.missing == "ZeroDivisionError: division by zero"
    assert suite.run_part("copy", TINY, None) == 1


@pytest.mark.device
def test_a_part_hands_its_rows_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.run_part("copy", TINY, tmp_path / "rows.json") == 0
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["part"] for row in rows] == ["copy"] * 3
    assert rows[0]["command"] == "python -m stillflow_bench.gpu.suite copy"
    assert json.loads(capsys.readouterr().out) == {"says": "3 figures"}


@pytest.mark.device
def test_the_command_prints_a_table_and_keeps_nothing_of_a_stand_in(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.program, ["gpu", "copy", "--tiny", "--out", str(tmp_path)])
    assert "| copy | copy on the device, read and written |" in done.output
    gpu = find_gpu()
    assert gpu is not None
    stood_in = "stand-in" in gpu.name
    assert isinstance(done.exception, StillflowError) == stood_in
    assert (list(tmp_path.iterdir()) == []) == stood_in


@pytest.mark.device
def test_a_part_of_which_nothing_is_here_is_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = dict.fromkeys(("tensorrt", "tensorrt_rtx", "onnxruntime"), "it is not installed")
    monkeypatch.setattr("stillflow_bench.gpu.networks.engines_here", lambda _: ((), absent))
    assert suite.run_part("networks", TINY, None) == NOTHING_TO_DO
    assert capsys.readouterr().err == "it is not installed\n"


def test_what_is_asked_for_must_be_there() -> None:
    with pytest.raises(StillflowError, match="there is no such part"):
        suite.measure("colour", TINY)
    if find_gpu(63) is None:
        with pytest.raises(StillflowError, match="there is no CUDA device 63"):
            suite.gpu_provenance(63)


def test_a_summary_counts_targets() -> None:
    rows = [
        Row("gpu", "fast", "ms", (1.0,), limit=2.0),
        Row("gpu", "slow", "ms", (3.0,), limit=2.0),
        Row("gpu", "absent", "ms", (), limit=2.0, missing="no engine"),
        Row("gpu", "free", "ms", (3.0,)),
    ]
    assert suite.summed_up(rows) == "1 of 3 targets met; missed: slow; 1 not run, such as absent: no engine"


def test_every_part_has_a_module() -> None:
    folder = Path(suite.__file__).parent
    assert all((folder / f"{suite.MODULES.get(part, part)}.py").is_file() for part in PARTS)
