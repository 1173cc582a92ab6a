# SPDX-License-Identifier: Apache-2.0
"""How a command ends: exit codes, one clear message, no traceback, no noise about a closed pipe.

0    done
2    StillflowError or a wrong option: the user can fix it, and the message says how; assess also ends so,
     with its findings on stdout, when a photo is unsuitable
70   any other exception: our bug (the number is EX_SOFTWARE of sysexits.h)
130  Ctrl-C; 143 SIGTERM; 129 SIGHUP: the terminal was closed; 141 the reader of our output went away (128 + signal
     number, as shells do)
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from stillflow.errors import StillflowError

USER_ERROR = 2
INTERNAL_ERROR = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def run(
    program: click.Command,
    arguments: Sequence[str] | None = None,
    *,
    name: str = "stillflow",
    interrupted: str = "interrupted, nothing was written",
) -> int:
    """Run a click program and turn whatever happens into an exit code and at most one message.

    Args:
        program: the command.
        arguments: what follows its name; None reads sys.argv.
        name: what the user calls it, for help and messages.
        interrupted: what is said after Ctrl-C.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "_STILLFLOW_COMPLETE" in os.environ:  # the shell asks for completions; click answers and exits
        program.main(args=words, prog_name=name)
    _unwind_on_signals()
    try:
        code = _invoke(program, words, name)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        _say(f"{name}: {interrupted}")
        return INTERRUPTED
    except BrokenPipeError:
        return _leave_pipe()
    except StillflowError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return _leave_pipe()
        return _report(error, name, json_wanted="--json" in words)
    except Exception as error:  # the last line of defence: every bug becomes exit code 70
        if _came_of_ctrl_c(error):
            _say(f"{name}: {interrupted}")
            return INTERRUPTED
        return _report(error, name, json_wanted="--json" in words)


def _invoke(program: click.Command, words: list[str], name: str) -> int:
    # Not program.main(): it turns Ctrl-C into exit code 1 and a broken pipe into a message of its own.
    try:
        with program.make_context(name, list(words)) as context:
            program.invoke(context)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    return 0


def _report(error: Exception, name: str, *, json_wanted: bool) -> int:
    # By name, since click before 8.2 does not have it; there no arguments print the help and end with 0.
    if isinstance(error, click.UsageError) and type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return USER_ERROR
    if os.environ.get("STILLFLOW_DEBUG") == "1":
        traceback.print_exception(error)
    code, clear = USER_ERROR, _explain(error, name)
    if clear is None:
        code = INTERNAL_ERROR
        place = traceback.extract_tb(error.__traceback__)[-1]
        clear = StillflowError(
            f"{name} failed",
            f"{type(error).__name__}: {error} ({os.path.basename(place.filename)}, line {place.lineno})",
            "this is a bug in stillflow: run again with STILLFLOW_DEBUG=1 and report what it prints",
        )
    _say(f"{name}: {clear}")
    if json_wanted:
        problem = {"what": clear.what, "why": clear.why, "fix": clear.fix}
        try:
            sys.stdout.write(json.dumps({"error": problem}) + "\n")
            sys.stdout.flush()
        except OSError:  # stdout is what broke; the message is on stderr already
            _leave_pipe()
    return code


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether somebody made another error of Ctrl-C: classes that are being made (before Python 3.12) do."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False


def _explain(error: Exception, name: str) -> StillflowError | None:
    """Return the error as what, why, fix; None for a bug of ours."""
    if isinstance(error, StillflowError):
        return error
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else name
        message = error.format_message()
        return StillflowError("wrong usage", message[:1].lower() + message[1:], f"see: {command} --help")
    if isinstance(error, click.ClickException):
        return StillflowError("cannot run this command", error.format_message(), f"see: {name} --help")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StillflowError(
            f"{name} could not write", str(error.strerror), "free disk space, then run it again"
        )
    if isinstance(error, MemoryError) and name != "stillflow":
        return StillflowError(f"{name} failed", "there is not enough memory", "measure a smaller size")
    if isinstance(error, MemoryError):
        return StillflowError(
            "cannot make this loop",
            "there is not enough memory",
            "ask for a smaller --size, for example 1280",
        )
    return None


def _leave_pipe() -> int:
    """Point stdout at nothing, so that Python's own flush at exit stays silent."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    return BROKEN_PIPE


def _unwind_on_signals() -> None:
    """Make SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that half-made files are removed."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    try:
        signal.signal(signal.SIGTERM, leave)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # nohup ignores it, and means to
            signal.signal(signal.SIGHUP, leave)
    except ValueError:  # not the main thread: whoever runs us there handles signals
        return


def visible(text: str) -> str:
    """Text of a file that is not trusted: codes that a terminal obeys are spelled out, but for new lines and tabs."""
    return text.translate(_CONTROLS)


def _say(text: str) -> None:
    # A file name may hold bytes that are not UTF-8; stderr shows them escaped instead of failing.
    data = (visible(text) + "\n").encode("utf-8", "backslashreplace")
    try:
        sys.stderr.write(data.decode("utf-8"))
        sys.stderr.flush()
    except OSError:
        return
