# SPDX-License-Identifier: Apache-2.0
"""``stillflow serve``: the pipeline for another program, in a process of its own."""

from __future__ import annotations

import os
import sys

import click

from stillflow.cli.options import network_options

EPILOG = """\b
Examples:
  stillflow serve --stdio        a program writes requests to its input and reads replies from its output

\b
docs/worker.md says every byte; examples/c/worker.c is a client. Exit codes: 0 the client said bye or closed its
end, 2 its messages broke the rules.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--stdio", is_flag=True, help="Serve the program that started this, over standard input and output."
)
@network_options
def serve(
    *,
    stdio: bool,
    bundle: str | None,
    device: str,
    engine: str,
    precision: str | None,
    allow_fallback: bool,
) -> None:
    """Serve another program: animate photos, render frames, bake scenes."""
    if not stdio:
        raise click.UsageError("say how to serve: --stdio is the only way so far.")
    from functools import partial

    from stillflow.animator import Animator
    from stillflow.worker import Worker

    # A stray line of any library on standard output would break the protocol: it goes to standard error.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    animator = partial(Animator, bundle, engine, precision, device, allow_fallback)
    # Not sys.stdin: after bye a thread still waits for requests in there, and Python does not end beside its lock.
    with replies, open(0, "rb", buffering=0, closefd=False) as requests:
        code = Worker(requests, replies, animator).serve()
    if code:
        sys.exit(code)
