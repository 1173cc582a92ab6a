# SPDX-License-Identifier: Apache-2.0
"""Exit codes and messages, for whatever a command may end in."""

from __future__ import annotations

import errno
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest

from stillflow.cli.outcome import run
from stillflow.errors import StillflowError


@pytest.fixture(autouse=True)
def _same_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def command(body: Callable[[], object]) -> click.Command:
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--number", type=int)
    def program(as_json: bool, number: int | None) -> None:
        body()

    return program


def throwing(error: BaseException) -> click.Command:
    def body() -> None:
        raise error

    return command(body)


def test_done() -> None:
    assert run(command(lambda: None), []) == 0


def test_user_error_is_2_with_what_why_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(StillflowError("cannot read a", "it is empty", "copy it again")), []) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "stillflow: cannot read a: it is empty\n  fix: copy it again\n")


def test_ctrl_c_is_130_also_where_somebody_makes_another_error_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("calling __set_name__") from error

    assert run(command(body), [], interrupted="gone") == 130
    assert capsys.readouterr().err == "stillflow: gone\n"


def test_a_full_disk_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(OSError(errno.ENOSPC, "No space left on device")), []) == 2
    assert "No space left on device\n  fix: free disk space" in capsys.readouterr().err


def test_bug_is_70_without_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STILLFLOW_DEBUG", raising=False)
    assert run(throwing(ZeroDivisionError("oh")), []) == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError: oh" in err
    assert "bug in stillflow" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), StillflowError("a", "b", "c")])
def test_traceback_when_asked_for(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLFLOW_DEBUG", "1")
    run(throwing(error), [])
    assert "Traceback" in capsys.readouterr().err


def test_out_of_memory_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(MemoryError()), []) == 2
    assert "--size" in capsys.readouterr().err


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(KeyboardInterrupt()), []) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--nonsense"], ["--number", "x"], ["surplus"]])
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command(lambda: None), words) == 2
    err = capsys.readouterr().err
    assert err.startswith("stillflow: wrong usage: ")
    assert "fix: see: stillflow" in err


def test_json_error_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(StillflowError("a", "b", "c")), ["--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": {"what": "a", "why": "b", "fix": "c"}}


def test_file_name_that_is_not_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(StillflowError("cannot read \udcff.jpg", "b", "c")), []) == 2
    assert r"\udcff.jpg" in capsys.readouterr().err


def test_codes_that_a_terminal_obeys_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(throwing(StillflowError("cannot read \x1b[2J\r\x9b1m", "b\n\tb", "c")), []) == 2
    assert capsys.readouterr().err == "stillflow: cannot read \\x1b[2J\\x0d\\x9b1m: b\n\tb\n  fix: c\n"


def test_exit_code_of_a_command_is_kept() -> None:
    assert run(command(lambda: click.get_current_context().exit(2)), []) == 2


ENDLESS = """
import sys
import click
from stillflow.cli.outcome import run

@click.command()
def program():
    try:
        sys.stderr.write("started\\n")
        sys.stderr.flush()
        while True:
            {work}
    finally:
        sys.stderr.write("cleaned up\\n")

sys.exit(run(program, []))
"""


def heed_interrupts() -> None:
    """Undo what a shell does to jobs in the background, and nohup: they ignore these signals, and so would a child."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(work: str) -> subprocess.Popen[bytes]:
    code = ENDLESS.format(work=work)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )


def test_closed_pipe_ends_quietly() -> None:
    process = start("sys.stdout.write('x' * 4096)")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(20) == 141
    assert said == b"started\ncleaned up\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_unwind_the_stack(number: signal.Signals, code: int) -> None:
    process = start("__import__('time').sleep(0.01)")
    assert process.stderr is not None
    assert process.stderr.readline() == b"started\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert b"cleaned up" in said
    assert b"Traceback" not in said


def test_verbose_logging_goes_to_stderr_only() -> None:
    code = "import sys; from stillflow.cli import main; sys.exit(main(['-vv', '--version']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.startswith(b"stillflow")
    assert logging.getLogger("stillflow").handlers == []
