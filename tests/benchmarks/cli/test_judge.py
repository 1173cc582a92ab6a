# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_bench import cli
from stillflow_bench.latency.judge import Verdict

from ..latency.valid_run import block, run_of


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A valid run."""
    return run_of(block()).write(tmp_path)


def test_the_command_says_it_with_its_exit_code(own: Path) -> None:
    valid = CliRunner().invoke(cli.program, ["judge", str(own)])
    assert (valid.exit_code, valid.output.splitlines()[0]) == (0, "VALID"), valid.output
    moved = CliRunner().invoke(
        cli.program, ["judge", str(own), "--limit", "windows_stable=15", "--limit", "photos=33"]
    )
    assert (moved.exit_code, moved.output.splitlines()[0]) == (1, "INVALID")
    as_json = CliRunner().invoke(cli.program, ["judge", str(own), "--json"])
    assert msgspec.json.decode(as_json.output, type=Verdict).valid
    assert "wholeness" not in as_json.output
    whole = CliRunner().invoke(cli.program, ["judge", str(own), "--all"])
    assert "ok       samples-complete" in whole.output
    refused = CliRunner().invoke(cli.program, ["judge", str(own), "--limit", "nonsense=1"])
    assert isinstance(refused.exception, StillflowError)
