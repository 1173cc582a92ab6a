# SPDX-License-Identifier: Apache-2.0
"""The program ``stillflow-bench``: its help page and the table of commands."""

from __future__ import annotations

import click

from stillflow.cli.lazy import LazyGroup

COMMANDS = {
    "run": ("stillflow_bench.cli.run", "Measure latency on this machine, beside peers and limits."),
    "judge": ("stillflow_bench.cli.judge", "Say whether a run is VALID or INVALID, and why."),
    "compare": (
        "stillflow_bench.cli.compare",
        "Two subjects in interleaved pairs: which is faster, and how sure.",
    ),
    "report": ("stillflow_bench.cli.report", "A run as one page of HTML, or as a table for a README."),
    "selftest": (
        "stillflow_bench.cli.selftest",
        "Measure an engine of known delays: does the suite find them?",
    ),
    "guard": (
        "stillflow_bench.cli.guard",
        "Count instructions, allocations and bytes of a frame: did any rise?",
    ),
    "quality": ("stillflow_bench.cli.quality", "Measure loops beside the photo repeated and a plain warp."),
    "kernels": ("stillflow_bench.cli.suites", "Time one frame against a plain copy of it; and the splat."),
    "encode": (
        "stillflow_bench.cli.suites",
        "Time the whole job against encoding the same frames ready-made.",
    ),
    "startup": ("stillflow_bench.cli.suites", "Time process start to first frame, and peak memory."),
    "gpu": ("stillflow_bench.cli.suites", "Measure frames, networks and latency on a GPU."),
    "soak": ("stillflow_bench.cli.suites", "Put many photos through one animator: does memory grow?"),
    "sheet": (
        "stillflow_bench.cli.suites",
        "Draw the motion of a photo and frames of its loop side by side.",
    ),
    "everything": ("stillflow_bench.cli.suites", "Kernels, encode, startup and quality into one report."),
}
"""Name: (module that holds a click command of that name, line in the help). Modules load when used."""


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stillflow")
def program() -> None:
    """Measure stillflow on this machine.

    Every sample is kept, nothing is trimmed, and every figure names the machine, the commit, the versions and the
    command. Run it on a machine that does nothing else: a run that was disturbed is INVALID.

    Exit codes: 0 done, 1 INVALID or a limit that does not hold, 2 something you can fix (the message says how), 70 a
    bug in stillflow, 130 interrupted. Set STILLFLOW_DEBUG=1 to see the traceback of an error.
    """


def main() -> int:
    """Run the program and return its exit code (see ``stillflow.cli.outcome``)."""
    from stillflow.cli.outcome import run

    return run(program, name="stillflow-bench", interrupted="interrupted")
