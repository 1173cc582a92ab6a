# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export onnx``: one network as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import click

from stillflow_export.cli.inputs import FILE, photos_in, trained_weights
from stillflow_export.cli.summary import say


@click.command()
@click.argument("graph", type=click.Choice(["flow", "generator"]))
@click.option("--weights", type=FILE, required=True, help="Trained weights, a safetensors file.")
@click.option("-o", "--out", type=FILE, required=True, help="ONNX file to write; a receipt goes beside it.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of real photos for gate A.")
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def onnx(graph: str, weights: Path, out: Path, photos: Path | None, as_json: bool) -> None:
    """Export one network, and compare it with PyTorch (gate A)."""
    from stillflow_export.gates import gate_a, require_passed
    from stillflow_export.onnx_export import export_onnx, write_onnx
    from stillflow_export.stored_weights import as_stored

    trained = trained_weights(graph, weights)
    plan = as_stored(trained.plans[0])
    made = export_onnx(plan, metadata={"licence": trained.licence, "source": trained.source})
    found = plan.samples(photos_in(photos))
    receipt = gate_a(plan.network, made.data, plan.inputs, plan.outputs, found, name=graph)
    require_passed(receipt)
    write_onnx(out, made.data, receipt.as_json())
    say(as_json, {"file": str(out), "bytes": len(made.data), "parameters": made.parameters}, [receipt])
