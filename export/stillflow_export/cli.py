# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export``: trained weights to ONNX, and to bundles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import stillflow
from stillflow.errors import StillflowError

if TYPE_CHECKING:
    from stillflow_export.bundle_writer import Trained
    from stillflow_export.gates import GateReceipt

EDGE = "the default networks: one photo in, its motion and what the motion uncovers out"
DEFAULT_TARGET = Path("engines/stillflow_engines/edge")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(stillflow.__version__, prog_name="stillflow-export")
def program() -> None:
    """Turn trained networks into ONNX files and bundles; nothing is written that fails its gate."""


@program.command()
@click.argument("graph", type=click.Choice(["flow", "generator"]))
@click.option("--weights", type=_FILE, required=True, help="Trained weights, a safetensors file.")
@click.option("-o", "--out", type=_FILE, required=True, help="ONNX file to write; a receipt goes beside it.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of real photos for gate A.")
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def onnx(graph: str, weights: Path, out: Path, photos: Path | None, as_json: bool) -> None:
    """Export one network, and compare it with PyTorch (gate A)."""
    from stillflow_export.gates import gate_a, require_passed
    from stillflow_export.graphs import INPUTS, OUTPUTS
    from stillflow_export.onnx_export import export_onnx, write_onnx
    from stillflow_export.samples import samples

    trained = _trained(graph, weights)
    inputs, outputs = INPUTS[graph], OUTPUTS[graph]
    made = export_onnx(trained.network, inputs, outputs, name=graph, metadata={"licence": "Apache-2.0"})
    found = samples(graph, _photos(photos))
    receipt = gate_a(trained.network, made.data, inputs, outputs, found, name=graph)
    require_passed(receipt)
    write_onnx(out, made.data, receipt.as_json())
    _say(as_json, {"file": str(out), "bytes": len(made.data), "parameters": made.parameters}, [receipt])


@program.command()
@click.option("--flow", type=_FILE, help="Weights of the flow network.  [default: the first that exists of "
              "training/weights/flow.safetensors, runs/flow/flow.safetensors]")  # fmt: skip
@click.option("--generator", type=_FILE, help="Weights of the generator network.  [default: likewise]")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=DEFAULT_TARGET, show_default=True,
              help="Folder to write, or a file ending in .zip or .sfb.")  # fmt: skip
@click.option("--name", default="edge", show_default=True, help="Name of the bundle.")
@click.option("--what", default=EDGE, help="What it is, in one sentence.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of real photos for gate A.  "
              "[default: samples/ when it exists]")  # fmt: skip
@click.option("--output", "said", multiple=True, metavar="OUTPUT=CHOICE[:REASON]",
              help="Who makes an output, such as plate=push_pull. Else the training receipts decide.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def bundle(
    flow: Path | None,
    generator: Path | None,
    out: Path,
    name: str,
    what: str,
    photos: Path | None,
    said: tuple[str, ...],
    as_json: bool,
) -> None:
    """Export trained networks, judge them, and write a verified bundle.

    Beside NAME.safetensors its training receipt NAME.receipt.json is read. A bundle without a generator
    network plays the closed forms.
    """
    from stillflow_export.bundle_writer import write_bundle

    flow = flow or _first("flow")
    if flow is None:
        why, fix = "no weights of the flow network were found", "train with `make train`, or say --flow"
        raise StillflowError("cannot make the bundle", why, fix)
    networks = [_trained("flow", flow)]
    generator = generator or _first("generator")
    if generator is not None:
        networks.append(_trained("generator", generator))
    outputs = dict(_pair(text) for text in said)
    made, receipts = write_bundle(
        out, networks, name=name, what=what, photos=_photos(photos), outputs=outputs
    )
    size = sum(file.bytes for file in made.manifest.files)
    summary = {"bundle": str(out), "bytes": size, "outputs": made.manifest.outputs}
    _say(as_json, summary, receipts)


@program.command()
@click.option("-o", "--out", type=_FILE, required=True, help="File to write.")
def schema(out: Path) -> None:
    """Write the JSON Schema of a bundle's manifest."""
    from stillflow.bundle import json_schema

    try:
        out.write_bytes(json_schema())
    except OSError as error:
        raise StillflowError(f"cannot write {out}", str(error), "choose a folder you may write to") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``stillflow-export`` and return its exit code (see ``stillflow.cli.outcome``)."""
    from stillflow.cli.outcome import run

    return run(program, arguments)


def _first(graph: str) -> Path | None:
    places = (Path(f"training/weights/{graph}.safetensors"), Path(f"runs/{graph}/{graph}.safetensors"))
    return next((place for place in places if place.is_file()), None)


def _photos(folder: Path | None) -> list[Path]:
    if folder is None:
        folder = Path("samples")
    elif not folder.is_dir():
        raise StillflowError(
            f"cannot read photos from {folder}", "it is not a folder", "name a folder of photos"
        )
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))


def _pair(text: str) -> tuple[str, str]:
    output, sign, choice = text.partition("=")
    if not sign:
        raise StillflowError(
            f"cannot read --output {text}",
            "it has no '='",
            "write it as OUTPUT=CHOICE or OUTPUT=CHOICE:REASON",
        )
    return output, choice


def _trained(graph: str, weights: Path) -> Trained:
    """Load weights and their receipt."""
    from stillflow_export.bundle_writer import Trained
    from stillflow_export.networks.flow import load_flow_network
    from stillflow_export.networks.generator import load_generator_network

    load = {"flow": load_flow_network, "generator": load_generator_network}[graph]
    what = f"cannot load the weights {weights}"
    if not weights.is_file():
        raise StillflowError(what, "there is no such file", "train with `make train`, or check the path")
    try:
        network = load(weights)
    # safetensors raises an exception type of its own; torch a RuntimeError that names the tensors.
    except Exception as error:
        why = " ".join(str(error).split())[:400]
        fix = f"give a safetensors file that the recipe of the {graph} network wrote"
        raise StillflowError(what, why, fix) from error
    beside = weights.with_suffix(".receipt.json")
    return Trained(graph, network, weights, _receipt(beside) if beside.is_file() else None)


def _receipt(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StillflowError(
            f"cannot read the receipt {path}", str(error), "train again, or remove it"
        ) from error
    if not isinstance(content, dict):
        raise StillflowError(
            f"cannot read the receipt {path}", "it is not an object", "train again, or remove it"
        )
    return content


def _say(as_json: bool, summary: dict[str, Any], receipts: list[GateReceipt]) -> None:
    """Print the summary and the gates' figures."""
    if as_json:
        click.echo(json.dumps({**summary, "gates": [receipt.as_json() for receipt in receipts]}))
        return
    for key, value in summary.items():
        click.echo(f"{key}: {value}")
    for receipt in receipts:
        for output, report in receipt.outputs.items():
            click.echo(
                f"gate {receipt.gate} {receipt.graph}.{output}: max {report.max_abs:.2e} of {report.scale:.3g}, "
                f"worst sample '{report.worst_sample}', {len(receipt.samples)} samples"
            )
