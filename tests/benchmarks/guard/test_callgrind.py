# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.guard import callgrind
from stillflow_bench.guard.baseline import compared, failures, read_baseline
from stillflow_bench.guard.counts import Counted
from stillflow_bench.guard.suite import BASELINE

TOLD = callgrind.Told(
    "gcc 1.2.3", "2.0", 2, (("warm", 1, 0), ("frame", 1, 0), ("warm", 2, 0), ("frame", 2, 5))
)

DUMP = """\
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw ILdmr DLdmr DLdmw
fn=sf_fields
cfn=malloc
calls=1 0
0 90
cfn=memcpy
calls=7 0
0 70
totals: 1001 20 30 1 1 1 1 2 4 0 8
"""


def instruction_sets(native: Counted) -> list[str]:
    return [
        name.split(", ")[1].split(":")[0]
        for name in native.counts
        if re.match("splat, .*: instructions", name)
    ]


def test_the_library_chooses_the_kernels_with_the_fewest_instructions(native: Counted) -> None:
    counts = {
        isa: native.counts[f"frame, 30 % moves, {isa}: instructions"] for isa in instruction_sets(native)
    }
    assert "baseline" in counts
    chosen = native.counts["frame, 30 % moves, best: instructions"]
    assert chosen == pytest.approx(min(counts.values()), rel=0.001)


def test_two_runs_agree(native: Counted) -> None:
    assert native.differing == {}


def test_this_tree_costs_what_was_accepted(native: Counted) -> None:
    accepted = read_baseline(BASELINE)
    if native.environment not in accepted:
        pytest.skip(f"no counts are accepted for {native.environment}")
    assert [line.sentence for line in failures(compared([native], accepted))] == []


def test_it_counts_what_a_frame_must_cost(native: Counted) -> None:
    counts = native.counts
    pixels = 256 * 144
    for isa in instruction_sets(native):
        still = counts[f"frame, nothing moves, {isa}: bytes from and to memory"]
        # The photo is read, the frame's lines are fetched to be written, and written back.
        assert 3 * 3 * pixels < still < 1.1 * 3 * 3 * pixels
        moving = [counts[f"frame, {part}, {isa}: instructions"]
                  for part in ("nothing moves", "30 % moves", "everything moves")]  # fmt: skip
        # Moving pixels are what costs, and a little more than their share: fields are computed around them too.
        assert 0.28 < (moving[1] - moving[0]) / (moving[2] - moving[0]) < 0.4
        # Shares of an instruction set that does a pixel's work one after the other would be in the hundreds.
        assert 50 < moving[2] / pixels < 600
    assert [name for name, value in counts.items() if name.endswith("allocations") and value] == []


def test_a_slower_kernel_and_an_allocation_are_caught(native: Counted, copied_tree: Path) -> None:
    """One row in twelve is composed twice, and the fields take memory: only what changed is built again."""
    scene = copied_tree / "runtime/native/src/kernels/scene.c"
    text = scene.read_text(encoding="utf-8")
    compose = "    s->kernels->compose(s, planes, y0, y1, out + (ptrdiff_t)y0 * out_stride, out_stride);\n"
    fields = "    clear_padding(s, &pieces);\n    sf_phase phases[256];\n"
    assert compose in text and fields in text
    text = text.replace(compose, compose + compose.replace("y1,", "y0 + (y1 - y0) / 12,"))
    text = text.replace(fields, "    void *volatile taken = malloc(64);\n    free(taken);\n" + fields)
    scene.write_text("#include <stdlib.h>\n" + text, encoding="utf-8")
    worse = callgrind.count(callgrind.build(copied_tree, copied_tree / "build"), runs=1)
    lines = {
        line.what: line for line in failures(compared([worse], {native.environment: dict(native.counts)}))
    }
    assert {line.standing for line in lines.values()} == {"rose"}
    for isa in instruction_sets(native):
        slower = lines[f"frame, everything moves, {isa}: instructions"]
        assert 0.04 < (slower.change or 0) < 1 / 12
        assert re.search(r"rose by \d\.\d%, .* accept it: stillflow-bench guard --accept$", slower.sentence)
        assert lines[f"frame, nothing moves, {isa}: allocations"].counted == 1
        assert f"splat, {isa}: instructions" not in lines


def test_a_program_that_valgrind_cannot_run_is_an_error_in_words(tmp_path: Path) -> None:
    if callgrind.missing():
        pytest.skip(callgrind.missing())
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(StillflowError, match="cannot count the instructions"):
        callgrind.count(program)


def test_counts_are_a_frames_and_rounded_up() -> None:
    counts = callgrind.counts_of(TOLD, ["", DUMP, "", ""])
    assert counts == {
        "frame, baseline: instructions": 501,
        "frame, baseline: loads and stores": 25,
        # Trailing noughts are left out of the totals: 2 + 4 misses, 8 lines written back.
        "frame, baseline: bytes from and to memory": 64 * 14 // 2,
        "frame, baseline: allocations": 1,
    }


@pytest.mark.parametrize("text", ["", "gcc 1|2", "gcc 1|2\nframes|2\nframe|1", "gcc 1|2\nframes|x\n"])
def test_a_program_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(StillflowError):
        callgrind.read_told(text)


def test_a_kernel_that_refuses_to_play_is_no_count() -> None:
    told = callgrind.Told("gcc 1.2.3", "2.0", 2, (("frame", 1, 4),))
    with pytest.raises(StillflowError, match="status 4"):
        callgrind.counts_of(told, [DUMP])
    with pytest.raises(StillflowError, match="no totals"):
        callgrind.counts_of(callgrind.Told("gcc 1.2.3", "2.0", 2, (("frame", 1, 0),)), ["events: Ir\n"])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "valgrind" else f"/bin/{name}")
    assert callgrind.missing().startswith("valgrind is not installed")


def test_a_tree_that_does_not_compile_says_what_the_compiler_said(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    (tmp_path / "CMakeLists.txt").write_text("project(nothing NONE)\nno_such_command()\n")
    with pytest.raises(StillflowError, match="no_such_command"):
        callgrind.build(tmp_path, tmp_path / "built")


def test_the_encoding_that_valgrind_lacks_is_not_shipped(source_tree: Path) -> None:
    """The file that respells an instruction is given to the assembler for the counted program only."""
    text = (source_tree / "CMakeLists.txt").read_text(encoding="utf-8")
    before = text[: text.index("for_valgrind.s")]
    assert before.rindex("if(STILLFLOW_COUNTED AND") > before.rindex("endif()")
