# SPDX-License-Identifier: Apache-2.0
"""A worker carries orders out, tells what went wrong, and what libraries print does not reach its replies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stillflow_bench.latency import worker as module
from stillflow_bench.latency.orders import Audit, Close, Measure, Open, Order, Reply, WarmUp, line_of
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.target import Facts, TargetSpec
from stillflow_bench.latency.worker import Worker, forget_peak, written
from stillflow_bench.latency.worker_process import WorkerProcess
from stillflow_bench.probe import peak_bytes

pytestmark = pytest.mark.usefixtures("unswept")

BLOCK = Block(
    "a",
    "A",
    "ours",
    TargetSpec("fake", "B3.frame", options={"milliseconds": 0.1, "inputs": 2}),
    Load(warm_up=2, audit=3),
)


def answers(*orders: Order) -> list[Reply]:
    worker = Worker()
    return [worker.answer(line_of(order)) for order in orders]


def test_orders_are_carried_out() -> None:
    opened, warm, first, second, audit, closed = answers(
        Open(BLOCK, 5), WarmUp(), Measure(3, 0.0, 0), Measure(2, 0.0, 1), Audit(), Close()
    )
    assert opened.facts is not None and opened.facts.engine == "fake" and not opened.samples
    assert [s.phase for s in warm.samples] == ["warm-up"] * 2
    assert [(s.index, s.round) for s in (*first.samples, *second.samples)] == [
        (2, 0), (3, 0), (4, 0), (5, 1), (6, 1),
    ]  # fmt: skip
    assert {s.input for s in audit.samples} == {0} and len(audit.samples) == 3
    assert all(
        reply.error is None and reply.rss_peak > 10**6 for reply in (opened, warm, first, audit, closed)
    )
    assert second.facts is not None  # anew, since a target learns more of itself


def test_orders_out_of_turn_are_refused() -> None:
    (early,) = answers(Measure(1, 0.0, 0))
    assert early.error is not None and early.error.why == "no target is open" and not early.error.trace
    _, twice = answers(Open(BLOCK, 0), Open(BLOCK, 0))
    assert twice.error is not None and twice.error.why == "one is open"


def test_what_a_user_can_fix_has_three_phrases() -> None:
    spec = TargetSpec("fake", "B3.frame", options={"nonsense": 1})
    (reply,) = answers(Open(Block("a", "A", "ours", spec), 0))
    assert reply.error is not None and "nonsense" in reply.error.why and not reply.error.trace


def test_a_bug_has_its_trace_without_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(spec: TargetSpec) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(module, "open_target", broken)
    (reply,) = answers(Open(BLOCK, 0))
    assert reply.error is not None
    assert reply.error.why == "KeyError: 'oops'"
    assert 'File "test_worker.py"' in reply.error.trace
    assert str(Path(__file__).parent) not in reply.error.trace


def test_facts_that_cannot_be_written_are_a_bug_that_is_told() -> None:
    line = written(Reply(facts=Facts(notes={"x": object()})))
    error = msgspec.json.decode(line, type=Reply).error
    assert error is not None and error.why == "TypeError: object is no plain value"


def test_no_order_at_all_is_told() -> None:
    reply = Worker().answer(b"hello\n")
    assert reply.error is not None and reply.error.trace


@pytest.mark.skipif(sys.platform != "linux", reason="peaks come from /proc")
def test_the_peak_is_counted_anew() -> None:
    held = bytearray(64 * 2**20)
    high = peak_bytes()
    del held
    forget_peak()
    assert 0 < peak_bytes() < high
    forget_peak(Path("/nowhere"))


NOISY = """
import os, sys
from stillflow_bench.latency import worker
from stillflow_bench.latency.targets import fake

def noisy(spec):
    print("a banner", flush=True)
    os.write(1, b'{"samples": []}\\n')
    assert sys.stdin.read() == ""
    target = fake.open_target(spec)
    inner = target.query
    def query(index, lane=0):
        print("chatter", index)
        os.system("echo from a child")
        return inner(index, lane)
    target.query = query
    return target

worker.open_target = noisy
os._exit(worker.main())
"""


def test_noise_on_stdout_breaks_nothing() -> None:
    with WorkerProcess("noisy", command=(sys.executable, "-c", NOISY)) as process:
        assert process.ask(Open(BLOCK, 0), 60).facts is not None
        assert len(process.ask(Measure(3, 0.0, 0), 60).samples) == 3


def test_a_worker_ends_when_nobody_gives_orders() -> None:
    command = [sys.executable, "-m", "stillflow_bench.latency.worker"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
