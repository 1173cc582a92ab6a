# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export bundle``: trained weights to a verified bundle."""

from __future__ import annotations

from pathlib import Path

import click

from stillflow.errors import StillflowError
from stillflow_export.cli.inputs import FILE, photos_in, trained_weights
from stillflow_export.cli.summary import say

EDGE = "the default networks: one photo in, its motion and what the motion uncovers out"
DEFAULT_TARGET = Path("engines/stillflow_engines/edge")


@click.command()
@click.option("--flow", type=FILE, help="Weights of the flow network.  [default: the first that exists of "
              "training/weights/flow.safetensors, runs/flow/flow.safetensors]")  # fmt: skip
@click.option("--generator", type=FILE, help="Weights of the generator network.  [default: likewise]")
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
    networks = [trained_weights("flow", flow)]
    generator = generator or _first("generator")
    if generator is not None:
        networks.append(trained_weights("generator", generator))
    outputs = dict(_pair(text) for text in said)
    made, receipts = write_bundle(
        out, networks, name=name, what=what, photos=photos_in(photos), outputs=outputs
    )
    size = sum(file.bytes for file in made.manifest.files)
    summary = {"bundle": str(out), "bytes": size, "outputs": made.manifest.outputs}
    say(as_json, summary, receipts)


def _first(graph: str) -> Path | None:
    places = (Path(f"training/weights/{graph}.safetensors"), Path(f"runs/{graph}/{graph}.safetensors"))
    return next((place for place in places if place.is_file()), None)


def _pair(text: str) -> tuple[str, str]:
    output, sign, choice = text.partition("=")
    if not sign:
        raise StillflowError(
            f"cannot read --output {text}",
            "it has no '='",
            "write it as OUTPUT=CHOICE or OUTPUT=CHOICE:REASON",
        )
    return output, choice
