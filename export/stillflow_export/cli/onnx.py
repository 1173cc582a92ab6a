# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export onnx``: networks as ONNX files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillflow.errors import StillflowError
from stillflow_export.cli.inputs import FILE, photos_in, with_weights_stored
from stillflow_export.cli.options import (
    all_precisions,
    calibration_option,
    half_weights_option,
    int8_option,
    precision_option,
)
from stillflow_export.cli.summary import progress, say

if TYPE_CHECKING:
    from stillflow_export.gates import GateReceipt
    from stillflow_export.plan import GraphPlan, Trained


@click.command()
@click.argument("graph", required=False)
@click.option(
    "--weights", type=FILE, required=True, help="Trained weights, ours or imported: a safetensors file."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True,
              help="ONNX file to write; or a folder, for all graphs of the weights. Receipts go beside.")  # fmt: skip
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of real photos for gate A.  "
              "[default: samples/ when it exists]")  # fmt: skip
@precision_option
@int8_option
@calibration_option
@half_weights_option
@click.option("--keep-failed", is_flag=True, help="Write a graph that misses its gate as NAME.failed.onnx, and the "
              "inputs it failed on as NAME.failed.npz, for `stillflow-export compare`.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def onnx(
    graph: str | None,
    weights: Path,
    out: Path,
    photos: Path | None,
    precisions: tuple[str, ...],
    int8: bool,
    calibration: Path | None,
    half_weights: bool | None,
    keep_failed: bool,
    as_json: bool,
) -> None:
    """Export networks, and compare them with PyTorch (gate A).

    GRAPH is one of the graphs that the weights hold, such as decoder; without it all of them are exported. A file
    of another precision is named NAME.fp16.onnx, and compared with the float32 one (gate B).
    """
    from stillflow_export.checkpoints.weights_file import file_sha256
    from stillflow_export.graphs import OWN_GRAPHS
    from stillflow_export.load import trained_weights

    ours = graph if graph in OWN_GRAPHS else None
    trained = with_weights_stored(trained_weights(weights, ours), half_weights)
    plans = _chosen(trained, graph, weights)
    whole = len(plans) > 1 or out.is_dir() or not out.suffix
    _check_place(out, whole)
    found = photos_in(photos)
    wanted, scales_from = all_precisions(precisions, int8, calibration)
    digest = file_sha256(weights)
    entries, receipts = [], []
    for plan in plans:
        file = out / f"{plan.name}.onnx" if whole else out
        entry, judged = _export(plan, trained, digest, found, file, wanted, scales_from, keep=keep_failed)
        entries.append(entry)
        receipts += judged
    say(as_json, {"graphs": entries} if whole else entries[0], receipts)


def _chosen(trained: Trained, graph: str | None, weights: Path) -> list[GraphPlan]:
    held = {plan.name: plan for plan in trained.plans}
    if graph is None:
        return list(held.values())
    if graph not in held:
        names = ", ".join(held)
        raise StillflowError(
            f"cannot export {graph}", f"{weights} holds {names}", f"name one of {names}, or none"
        )
    return [held[graph]]


def _check_place(out: Path, folder: bool) -> None:
    """Find out before the work is done whether its result can be written; make the folder that it goes into."""
    try:
        if folder:
            out.mkdir(exist_ok=True)
        elif not out.parent.is_dir():
            raise NotADirectoryError(None, f"the folder {out.parent} does not exist")
    except OSError as error:
        why, fix = str(error.strerror or error), "name a folder that can be made, beside others that exist"
        raise StillflowError(f"cannot write to {out}", why, fix) from error


def _export(
    given: GraphPlan,
    trained: Trained,
    digest: str,
    photos: list[Path],
    file: Path,
    precisions: tuple[str, ...],
    calibration: list[Path],
    *,
    keep: bool,
) -> tuple[dict[str, Any], list[GateReceipt]]:
    """Export one graph, judge it, write it; then likewise at other precisions."""
    from stillflow_export.failed_graph import keep_failed
    from stillflow_export.gates import gate_a, require_passed
    from stillflow_export.onnx_export import export_onnx, metadata_of, write_onnx
    from stillflow_export.stored_weights import as_stored
    from stillflow_export.variants import convert

    plan = as_stored(given)

    def failed(place: Path, data: bytes, receipt: GateReceipt) -> None:
        if keep:
            graph, inputs = keep_failed(place, data, receipt, plan, photos)
            progress(f"kept {graph} and {inputs}, which it failed on")

    progress(f"exporting {plan.name}")
    made = export_onnx(plan, metadata=metadata_of(trained, digest))
    progress(f"judging {plan.name}: PyTorch against ONNX")
    receipt = gate_a(plan.network, made.data, plan.inputs, plan.outputs, plan.samples(photos), name=plan.name)
    if not receipt.passed:
        failed(file, made.data, receipt)
    require_passed(receipt)
    write_onnx(file, made.data, receipt.as_json())
    entry: dict[str, Any] = {
        "graph": plan.name,
        "file": str(file),
        "bytes": len(made.data),
        "parameters": made.parameters,
    }
    receipts = [receipt]
    for precision in precisions:
        if precision != "fp32":
            progress(f"converting {plan.name} to {precision}, and judging it")
            place = file.with_suffix(f".{precision}.onnx")
            other = convert(precision, plan, made.data, photos, calibration, partial(failed, place))
            write_onnx(place, other.data, other.receipt.as_json())
            entry[f"{precision}_bytes"] = len(other.data)
            receipts.append(other.receipt)
    return entry, receipts
