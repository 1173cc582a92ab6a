# SPDX-License-Identifier: Apache-2.0
"""A child that dies, hangs or babbles becomes an error that says so, and nothing is left of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.orders import Audit, WarmUp
from stillflow_bench.latency.worker_process import THREADS, WorkerError, WorkerProcess, ending


def child(program: str, **more: int) -> WorkerProcess:
    return WorkerProcess("block", command=(sys.executable, "-S", "-c", program), **more)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def is_gone(group: int) -> bool:
    """Whether nobody of a process group lives, once those that were ended had time to; the system buries them later."""
    for _ in range(100):
        if not any(
            state != "Z"
            for state, number in map(state_and_group, Path("/proc").glob("[1-9]*"))
            if number == group
        ):
            return True
        time.sleep(0.05)
    return False


def state_and_group(process: Path) -> tuple[str, int]:
    try:
        state, _, group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return "Z", 0
    return state, int(group)


ECHO = """
import sys
for line in sys.stdin:
    print('{"rss_peak": %d}' % len(line), flush=True)
    if "close" in line: break
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older ones always look into the current folder")
def test_what_lies_in_the_current_folder_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('from the current folder')")
    monkeypatch.chdir(tmp_path)
    with WorkerProcess("block") as process, pytest.raises(StillflowError, match="no target is open"):
        process.ask(WarmUp(), 60)


def test_an_order_is_answered_and_the_child_ends() -> None:
    with child(ECHO) as process:
        assert process.ask(WarmUp(), 20).rss_peak > 0
        assert process.ask(Audit(), 20).rss_peak > 0
    assert not alive(process.pid)
    process.close()
    with pytest.raises(StillflowError, match="has ended"):
        process.ask(WarmUp(), 20)


def test_a_reply_in_pieces_is_put_together() -> None:
    program = """
import os, sys, time
sys.stdin.readline()
text = '{"facts": {"notes": {"x": "%s"}}}' % ("y" * 300000)
for begin in range(0, len(text), 100000):
    os.write(1, text[begin:begin + 100000].encode()); time.sleep(0.01)
os.write(1, b"\\n")
"""
    with child(program) as process:
        facts = process.ask(WarmUp(), 20).facts
        assert facts is not None and len(facts.notes["x"]) == 300000
        process.kill()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import sys; sys.stdin.readline(); print('some reason', file=sys.stderr); sys.exit(3)",
         "ended with exit code 3; it last said: some reason"),
        ("import sys; sys.stdin.readline(); print('no json', flush=True); sys.stdin.readline()",
         "what is no reply"),
    ],
)  # fmt: skip
def test_how_it_died_is_told(program: str, said: str) -> None:
    process = child(program)
    with pytest.raises(StillflowError, match="block: WarmUp was not done") as told:
        process.ask(WarmUp(), 30)
    assert said in told.value.why
    assert not alive(process.pid)


def test_a_child_that_hangs_is_ended_with_what_it_started() -> None:
    program = """
import subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print(inner.pid, file=sys.stderr, flush=True)
sys.stdin.readline()
time.sleep(600)
"""
    process = child(program)
    began = time.monotonic()
    with pytest.raises(StillflowError, match=r"longer than 0\.5 s"):
        process.ask(WarmUp(), 0.5)
    assert time.monotonic() - began < 60
    assert not alive(process.pid)
    assert is_gone(process.pid)


def test_errors_of_the_worker_are_raised_as_what_they_are() -> None:
    answer = '{"error": {"what": "a", "why": "b", "fix": "c", "trace": "%s"}}'
    for trace, kind in (("", StillflowError), ("somewhere", WorkerError)):
        program = (
            f"import sys\nsys.stdin.readline()\nprint({answer % trace!r}, flush=True)\nsys.stdin.readline()"
        )
        with child(program) as process:
            with pytest.raises(StillflowError) as told:
                process.ask(WarmUp(), 30)
            assert type(told.value) is kind and told.value.why == "b"


def test_an_exception_ends_the_child() -> None:
    with pytest.raises(KeyboardInterrupt), child("import time; time.sleep(600)") as process:
        raise KeyboardInterrupt
    assert not alive(process.pid)


def test_closing_does_not_wait_for_one_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillflow_bench.latency.worker_process._CLOSE_SECONDS", 0.2)
    process = child("import time; time.sleep(600)")
    process.close()
    assert not alive(process.pid)


def test_threads_are_limited_only_where_the_subject_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    program = f"""
import os, sys
sys.stdin.readline()
print('{{"facts": {{"engine": "%s"}}}}' % os.environ.get("{THREADS}", "none"), flush=True)
sys.stdin.readline()
"""
    for threads, expected in ((None, "none"), (3, "3")):
        with WorkerProcess("b", threads=threads, command=(sys.executable, "-S", "-c", program)) as process:
            facts = process.ask(WarmUp(), 30).facts
            assert facts is not None and facts.engine == expected
            process.kill()


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(StillflowError, match="cannot start a process for b"):
        WorkerProcess("b", command=("/nowhere/at/all",))


def test_endings_in_words() -> None:
    assert ending(0) == "ended with exit code 0"
    assert ending(-15) == "was ended by SIGTERM"
    assert ending(-200) == "was ended by signal 200"
    assert "did not end" in ending(None)


def test_temporary_files_go_with_the_worker_also_when_it_is_killed() -> None:
    program = """
import os, sys, tempfile, time
place = tempfile.mkdtemp(dir=os.environ["STILLFLOW_BENCH_TEMPORARY"])
open(place + "/photo", "w").close()
sys.stdin.readline()
print('{"facts": {"engine": "%s"}}' % place, flush=True)
time.sleep(60)
"""
    process = child(program)
    facts = process.ask(WarmUp(), 20).facts
    assert facts is not None and (Path(facts.engine) / "photo").exists()
    process.kill()
    assert not Path(facts.engine).parent.exists()
