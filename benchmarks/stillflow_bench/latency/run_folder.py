# SPDX-License-Identifier: Apache-2.0
"""The folder that a run writes into: its name, empty of other runs, and packed at the end."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from stillflow.errors import StillflowError
from stillflow_bench import machine
from stillflow_bench.latency.plan import Plan
from stillflow_bench.latency.record import RESULT, SAMPLES, TELEMETRY
from stillflow_bench.report import replace_file

RECEIPTS = "receipts"

_OF_A_RUN = (
    RESULT,
    TELEMETRY,
    "verdict.json",
    "comparison.json",
    "report.html",
    f"{SAMPLES}/*.jsonl",
    f"{SAMPLES}/*.jsonl.gz",
    f"{RECEIPTS}/*.json",
)
"""What runs, comparisons, the judge and the report write. It is removed for another run; nothing else is touched."""


def own_folder(out: Path | None, into: Path | None, plan: Plan) -> Path:
    """The folder that a run is written into.

    Args:
        out: itself.
        into: folder of runs, in which it is named after the machine, the day and the plan.
        plan: that is measured.

    Raises:
        StillflowError: neither is given, or both.
    """
    if (out is None) == (into is None):
        raise StillflowError(
            "cannot tell where to write the run",
            "neither -o nor --into is given" if out is None else "-o and --into are both given",
            "name a folder: stillflow-bench run -o DIR",
        )
    if out is not None:
        return out
    assert into is not None
    name = f"{machine.slug(machine.cpu_name())}-{machine.usable_cores()}core"
    return into / f"{name}-{datetime.now(timezone.utc):%Y-%m-%d}-{plan.name}"


def prepare(folder: Path, *, overwrite: bool) -> None:
    """Make a folder ready for a run.

    Args:
        folder: is made when missing.
        overwrite: remove the run that is in it.

    Raises:
        StillflowError: it holds a run and may not be overwritten, or it cannot be written.
    """
    what = f"cannot write a run into {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in (SAMPLES, RECEIPTS):
            if (folder / part).is_symlink():  # files would be removed and written elsewhere
                raise StillflowError(what, f"{part} leads out of it", "name another folder with -o")
        old = [path for pattern in _OF_A_RUN for path in sorted(folder.glob(pattern)) if not path.is_dir()]
        if old and not overwrite:
            raise StillflowError(
                what, f"there is one: {old[0].name}", "name another folder with -o, or add --overwrite"
            )
        for path in old:
            path.unlink()
        (folder / SAMPLES).mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass  # it can be written
        (folder / TELEMETRY).touch(exist_ok=False)  # of two runs that begin at once, one is told
    except FileExistsError as error:
        fix = "name another folder with -o"
        raise StillflowError(what, "another run begins in it, or it is no folder", fix) from error
    except OSError as error:
        raise StillflowError(what, error.strerror or str(error), "name another folder with -o") from error


def write_receipts(folder: Path, block: str, receipts: Mapping[str, Any]) -> list[Path]:
    """Write each gate's receipt of a block's engines into a file of its own.

    Args:
        folder: of the run.
        block: its name.
        receipts: by name.
    """
    written = []
    for name, receipt in sorted(receipts.items()):
        path = receipt_path(folder, block, name)
        path.parent.mkdir(exist_ok=True)
        replace_file(path, json.dumps(receipt, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        written.append(path)
    return written


def receipt_path(folder: Path, block: str, name: str) -> Path:
    """Where a receipt of a block lies; its name is made fit for a file."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:60] or "receipt"
    return folder / RECEIPTS / f"{block}-{slug}.json"


def pack(folder: Path) -> None:
    """Pack the files of samples: the same bytes for the same samples, whenever they are packed."""
    for path in sorted((folder / SAMPLES).glob("*.jsonl")):
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
            part.replace(path.with_name(f"{path.name}.gz"))
        finally:
            part.unlink(missing_ok=True)
        path.unlink()
