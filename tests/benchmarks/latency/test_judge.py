# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_bench.latency.judge import VERDICT, Verdict, judge, told
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.plan import Block, Load, Plan
from stillflow_bench.latency.record import RESULT, SAMPLES, TELEMETRY, read_record
from stillflow_bench.latency.run import run
from stillflow_bench.latency.run_folder import receipt_path, write_receipts
from stillflow_bench.latency.target import TargetSpec

from .valid_run import SUBJECT, Run, block, broken, run_of


def everything() -> Run:
    """Ours at two boundaries, under two more loads, a peer and a limit."""
    frame = TargetSpec("frame", "B3.frame", SUBJECT)
    return run_of(
        block(),
        msgspec.structs.replace(block("frame"), target=frame),
        block("server", scenario="server", rate=20.0),
        block("lanes", scenario="multi_stream", lanes=2, queries=48),
        Block("peer", "peer", "peer", TargetSpec("raw-onnxruntime", "B2.call", SUBJECT), block().load),
        Block("copy", "copy", "limit", TargetSpec("copy", "B3.next", SUBJECT), Load(queries=44)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(block()).write(tmp_path_factory.mktemp("run"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A valid run that a test may break."""
    return run_of(block()).write(tmp_path)


def lines_of(folder: Path) -> list[bytes]:
    return (folder / SAMPLES / "ours.jsonl").read_bytes().splitlines(keepends=True)


def test_a_run_without_fault_is_valid_and_nothing_is_left_open(tmp_path: Path) -> None:
    run = everything()
    verdict = judge(run.write(tmp_path))
    assert [check for check in verdict.checks if check.ok is not True] == []
    assert (verdict.verdict, set(verdict.blocks.values())) == ("VALID", {"VALID"})
    assert {check.id for check in verdict.checks} >= {
        "clock-order",
        "min-samples:p90",
        "queue-stable",
        "lanes-used",
        "accuracy-receipt-matches-engine",
    }
    assert msgspec.json.decode((tmp_path / VERDICT).read_bytes(), type=Verdict) == verdict


def test_packed_samples_are_judged_alike(own: Path) -> None:
    path = own / SAMPLES / "ours.jsonl"
    (own / SAMPLES / "ours.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert judge(own).valid


def test_other_limits_need_no_new_measurement(tmp_path: Path) -> None:
    run = run_of(block())
    run.slower(lambda sample: 1 + 0.25 * sample.index / 109)
    run.write(tmp_path)
    assert broken(judge(tmp_path)) == {("ours", "windows-stable")}
    verdict = judge(tmp_path, Limits(windows_stable=30))
    assert verdict.valid
    assert verdict.limits.windows_stable == 30
    assert broken(judge(tmp_path, Limits(windows_stable=30, photos=33))) == {("ours", "inputs-different")}
    assert not judge(tmp_path).valid


@pytest.mark.parametrize(
    ("role", "verdict"), [("ours", "INVALID"), ("peer", "VALID"), ("baseline", "VALID"), ("limit", "VALID")]
)
def test_the_run_stands_and_falls_with_ours(role: str, verdict: str) -> None:
    run = run_of(block(), msgspec.structs.replace(block("other"), role=role))
    run.slower(lambda sample: 40 if sample.index == 50 else 1, "other")
    found = run.judged()
    assert broken(found) == {("other", "no-stall")}
    assert (found.verdict, found.blocks) == (verdict, {"ours": "VALID", "other": "INVALID"})


def test_where_nothing_is_ours_every_block_counts() -> None:
    run = run_of(msgspec.structs.replace(block(), role="peer"))
    assert run.judged().valid
    run.slower(lambda sample: 40 if sample.index == 50 else 1)
    assert not run.judged().valid


@settings(max_examples=40, deadline=None)
@given(which=st.integers(0, 108), what=st.sampled_from(["drop", "double", "swap"]))
def test_a_line_that_is_not_as_it_was_written_is_always_found(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, which: int, what: str
) -> None:
    lines = lines_of(folder)
    if what == "drop":
        del lines[which]
    elif what == "double":
        lines.insert(which, lines[which])
    else:
        lines[which], lines[which - 1] = lines[which - 1], lines[which]
    assert_found(folder, tmp_path_factory, b"".join(lines))


@settings(max_examples=40, deadline=None)
@given(
    which=st.integers(0, 108), field=st.sampled_from(["issued", "done", "input"]), by=st.integers(1, 10**9)
)
def test_a_sample_that_was_changed_is_always_found(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, which: int, field: str, by: int
) -> None:
    lines = lines_of(folder)
    sample = json.loads(lines[which])
    sample[field] += by
    lines[which] = json.dumps(sample).encode() + b"\n"
    assert_found(folder, tmp_path_factory, b"".join(lines))


def assert_found(folder: Path, temporary: pytest.TempPathFactory, data: bytes) -> None:
    changed = temporary.mktemp("changed")
    (changed / SAMPLES).mkdir()
    for name in (RESULT, TELEMETRY):
        (changed / name).write_bytes((folder / name).read_bytes())
    (changed / SAMPLES / "ours.jsonl").write_bytes(data)
    verdict = judge(changed)
    assert ("ours", "samples-complete") in broken(verdict)
    assert not verdict.valid


def test_whoever_trims_the_tail_and_hashes_anew_is_found_by_the_numbers(own: Path) -> None:
    """A thorough forger writes a new hash and count, but not new summaries."""
    run = run_of(block())
    slowest = max((s for s in run.samples["ours"] if s.phase == "measured"), key=lambda s: s.service)
    before = run.whole()
    run.samples["ours"].remove(slowest)
    after = run.whole()
    kept = [
        msgspec.structs.replace(one, summaries=old.summaries)
        for one, old in zip(after.measured, before.measured, strict=True)
    ]
    run.record["measured"] = tuple(kept)
    run.write(own)
    assert ("ours", "samples-complete") in broken(judge(own))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"schema": "1.0"}',
        b'{"schema": "2.0"}',
        b'{"schema": ' + b"[" * 100_000,
        b'{"schema": "1.0", "plan": ' + b'{"a":' * 100_000,
    ],
)
def test_a_result_that_is_none_is_refused(own: Path, data: bytes) -> None:
    (own / RESULT).write_bytes(data)
    with pytest.raises(StillflowError) as caught:
        judge(own)
    assert caught.value.fix


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match=r"result\.json"):
        judge(tmp_path)
    with pytest.raises(StillflowError):
        judge(tmp_path / "none")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", [RESULT, TELEMETRY, f"{SAMPLES}/ours.jsonl"])
def test_a_pipe_is_no_file_and_nobody_waits_for_it(own: Path, name: str) -> None:
    (own / name).unlink()
    os.mkfifo(own / name)
    if name == RESULT:
        with pytest.raises(StillflowError):
            judge(own)
    else:
        verdict = judge(own)
        assert not verdict.valid
        assert {id for _, id in broken(verdict)} <= {"samples-complete", "telemetry-there", "unedited"}


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/b", "..", "", "a\\b", "A", "a" * 90, "a\n", "con:"]
)
def test_a_name_of_a_block_leads_nowhere(own: Path, name: str) -> None:
    text = (own / RESULT).read_text(encoding="utf-8").replace('"name": "ours"', f'"name": {json.dumps(name)}')
    (own / RESULT).write_text(text, encoding="utf-8")
    with pytest.raises(StillflowError):
        judge(own)


def test_two_blocks_of_one_name_are_refused(own: Path) -> None:
    data = json.loads((own / RESULT).read_bytes())
    data["measured"] *= 2
    (own / RESULT).write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(StillflowError, match="two blocks"):
        judge(own)


HOSTILE: list[Any] = [
    None,
    True,
    -1,
    0,
    10**30,
    -(10**30),
    1e308,
    "x",
    "",
    [],
    {},
    [[]],
    {"a": {"b": [None]}},
]


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in inner for found in paths_of(one, (*path, key)))]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_result_is_judged_or_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = json.loads((folder / RESULT).read_bytes())
    *path, key = data.draw(st.sampled_from(paths_of(whole)[1:]))
    place = whole
    for step in path:
        place = place[step]
    place[key] = data.draw(st.sampled_from(HOSTILE))
    changed = tmp_path_factory.getbasetemp() / "hostile"
    (changed / SAMPLES).mkdir(parents=True, exist_ok=True)
    (changed / RESULT).write_text(json.dumps(whole), encoding="utf-8")
    (changed / SAMPLES / "ours.jsonl").write_bytes(b"".join(lines_of(folder)))
    (changed / TELEMETRY).write_bytes((folder / TELEMETRY).read_bytes())
    try:
        verdict = judge(changed)
    except StillflowError:
        return
    msgspec.json.decode((changed / VERDICT).read_bytes(), type=Verdict)
    assert told(verdict, everything=True)


LINE = b'{"index":%d,"phase":"measured","input":0,"issued":%s,"done":2}\n'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[1]\n",
        b"not json\n",
        LINE % (0, b"NaN"),
        LINE % (0, b"1e400"),
        LINE % (0, b"9" * 5000),
        LINE % (0, b"-" + b"9" * 40),
        LINE % (10**40, b"1"),
        LINE % (0, b'"1"'),
        LINE % (0, b"1.5"),
        (LINE % (0, b"1"))[:-20],
        b'{"index":0,"phase":"other","input":0,"issued":1,"done":2}\n',
        b'{"index":0,"phase":"audit","input":0,"issued":1,"done":2,"spans":{"a":%s}}\n' % (b"7" * 400),
        b"[" * 200_000,
        b"\x00" * 100,
    ],
)
def test_damaged_samples_make_a_run_invalid(own: Path, data: bytes) -> None:
    (own / SAMPLES / "ours.jsonl").write_bytes(data)
    verdict = judge(own)
    assert ("ours", "samples-complete") in broken(verdict)
    assert not verdict.valid


def test_missing_samples_make_a_run_invalid(own: Path) -> None:
    (own / SAMPLES / "ours.jsonl").unlink()
    assert ("ours", "samples-complete") in broken(judge(own))
    (own / SAMPLES / "ours.jsonl.gz").write_bytes(b"\x1f\x8b nothing")
    assert ("ours", "samples-complete") in broken(judge(own))


@pytest.mark.parametrize(
    "data", [b"{", b"[]\n", b'{"at": -5}\n', b'{"at": %s}\n' % (b"9" * 60), b"[" * 200_000]
)
def test_damaged_telemetry_is_never_silently_fine(own: Path, data: bytes) -> None:
    (own / TELEMETRY).write_bytes(data)
    verdict = judge(own)
    (check,) = [check for check in verdict.checks if check.id == "telemetry-there"]
    assert check.ok is False
    assert not verdict.valid


def test_what_is_edited_after_the_run_is_noticed(own: Path) -> None:
    """Short of somebody who seals it anew."""
    assert ("", "unedited") not in broken(judge(own))
    whole, looks = (own / RESULT).read_text(encoding="utf-8"), (own / TELEMETRY).read_bytes()
    without_seal = {key: value for key, value in json.loads(whole).items() if key != "seal"}
    for edited in (
        whole.replace('"cores": 2', '"cores": 64'),
        whole.replace('"interrupted": false', '"interrupted": true'),
        json.dumps(without_seal),
    ):
        assert edited != whole
        (own / RESULT).write_text(edited, encoding="utf-8")
        assert ("", "unedited") in broken(judge(own))
    (own / RESULT).write_text(json.dumps(json.loads(whole)), encoding="utf-8")  # says the same
    assert ("", "unedited") not in broken(judge(own))
    for edited_looks in (looks.replace(b'"steal":3.0', b'"steal":0.0'), looks[: len(looks) // 2], b""):
        (own / TELEMETRY).write_bytes(edited_looks)
        assert ("", "unedited") in broken(judge(own))
    (own / TELEMETRY).unlink()
    assert ("", "unedited") in broken(judge(own))


@pytest.mark.parametrize("data", [b'{"gate": "A", "passed": true}', b"{", b"[" * 100_000])
def test_a_receipt_that_is_not_the_recorded_one_is_noticed(own: Path, data: bytes) -> None:
    for one in read_record(own).measured:
        write_receipts(own, one.block.name, one.facts.receipts)
    assert ("", "unedited") not in broken(judge(own))
    receipt_path(own, "ours", "flow").write_bytes(data)
    assert ("", "unedited") in broken(judge(own))


def test_a_run_of_real_processes_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound fake and one that caches, by the suite's own run. A busy machine breaks other checks at will."""

    monkeypatch.setattr("stillflow_bench.latency.run.SETTLE", 0.0)  # fakes have no threads that turn on

    def fake(name: str, **options: str | int | float | bool) -> Block:
        spec = TargetSpec("fake", "B2.call", options={"milliseconds": 4.0, **options})
        return Block(name, name, "ours", spec, Load(queries=44, audit=8, rounds=2), group="both")

    plan = Plan("own", (fake("sound"), fake("caches", caching=True, receipt="other")))
    run(plan, tmp_path, announce=lambda _: None)
    found = broken(judge(tmp_path))
    assert found >= {("caches", "no-caching"), ("caches", "accuracy-receipt-matches-engine")}
    of_the_machine = {
        "quiet-machine",
        "windows-stable",
        "warm-up-enough",
        "no-stall",
        "no-steal",
        "no-throttle",
    }
    assert {id for name, id in found if name == "sound"} <= of_the_machine


def test_reasons_are_told_in_words_after_the_verdict(own: Path) -> None:
    assert told(judge(own)).splitlines()[0] == "VALID"
    run = run_of(block())
    run.slower(lambda sample: 40 if sample.index == 50 else 1)
    text = told(run.judged())
    assert text.startswith("INVALID\n")
    assert "ours: INVALID" in text
    assert "no-stall: the longest of 96 queries" in text
    assert "samples-complete" not in text
    assert "samples-complete" in told(run.judged(), everything=True)


def test_a_folder_that_cannot_be_written_is_judged_all_the_same(own: Path) -> None:
    (own / VERDICT).mkdir()
    assert judge(own).valid
