# SPDX-License-Identifier: Apache-2.0
"""``stillflow serve`` speaks the protocol and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys

from stillflow.worker.wire import LENGTHS


def test_the_command_speaks_only_the_protocol():
    bye = b'{"type":"bye","id":1}'
    done = subprocess.run(
        [sys.executable, "-m", "stillflow", "serve", "--stdio"],
        input=LENGTHS.pack(len(bye), 0) + bye,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out, kinds = done.stdout, []
    while out:
        text, payload = LENGTHS.unpack_from(out)
        assert payload == 0
        kinds.append(out[LENGTHS.size : LENGTHS.size + text].split(b'"')[3])
        out = out[LENGTHS.size + text :]
    assert kinds == [b"hello", b"done"]


def test_bye_ends_it_while_the_client_keeps_its_end_open():
    bye = b'{"type":"bye","id":1}'
    command = [sys.executable, "-m", "stillflow", "serve", "--stdio"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
        worker.stdin.write(LENGTHS.pack(len(bye), 0) + bye)
        worker.stdin.flush()
        assert b'"done"' in worker.stdout.read()
        told = worker.stderr.read()
        assert worker.wait() == 0, told


def test_sigterm_ends_it_while_the_client_keeps_its_end_open():
    command = [sys.executable, "-m", "stillflow", "serve", "--stdio"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as worker:
        text, _ = LENGTHS.unpack(worker.stdout.read(LENGTHS.size))
        assert b"hello" in worker.stdout.read(text)
        worker.terminate()
        assert worker.wait(60) == 128 + signal.SIGTERM
        assert worker.stderr.read() == b""


def test_without_stdio_it_says_how():
    done = subprocess.run(
        [sys.executable, "-m", "stillflow", "serve"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--stdio" in done.stderr
