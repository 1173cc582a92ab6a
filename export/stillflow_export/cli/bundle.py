# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export bundle``: trained weights to a verified bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

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
    from stillflow_export.plan import Trained

EDGE = "the default networks: one photo in, its motion and what the motion uncovers out"
DEFAULT_TARGET = Path("engines/stillflow_engines/edge")

FLOW_GRAPHS = ("flow", "scene_flow")
"""What --flow may hold; everything else is a generator's."""


@click.command()
@click.option("--flow", type=FILE, help="Weights of the flow network, ours or imported.  [default: the first that "
              "exists of training/weights/flow.safetensors, runs/flow/flow.safetensors, when no imported "
              "generator is given]")  # fmt: skip
@click.option("--generator", type=FILE, help="Weights of the generator network, ours or imported.  "
              "[default: likewise]")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to write, or a file ending in .zip or "
              f".sfb.  [default: {DEFAULT_TARGET}, of our own networks]")  # fmt: skip
@click.option("--name", help="Name of the bundle.  [default: the end of the path it is written to]")
@click.option("--what", help="What it is, in one sentence.")
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of real photos for the gates.  "
              "[default: samples/ when it exists]")  # fmt: skip
@click.option("--output", "said", multiple=True, metavar="OUTPUT=CHOICE[:REASON]",
              help="Who makes an output, such as plate=push_pull. Else the training receipts decide.")  # fmt: skip
@precision_option
@int8_option
@calibration_option
@half_weights_option
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def bundle(
    flow: Path | None,
    generator: Path | None,
    out: Path | None,
    name: str | None,
    what: str | None,
    photos: Path | None,
    said: tuple[str, ...],
    precisions: tuple[str, ...],
    int8: bool,
    calibration: Path | None,
    half_weights: bool | None,
    as_json: bool,
) -> None:
    """Export trained networks, judge them, and write a verified bundle.

    Our own networks get a file in fp16 too unless --precision says otherwise.

    Beside NAME.safetensors of a recipe its training receipt NAME.receipt.json is read, beside imported weights
    what the import found, NAME.json. An imported generator brings its own frames; the graph that says what moves
    is then copied from the shipped bundle, byte for byte. A bundle without any generator plays the closed forms.
    """
    from stillflow_export.bundle_writer import write_bundle
    from stillflow_export.graphs import is_own

    networks = [with_weights_stored(t, half_weights) for t in _networks(flow, generator)]
    own = all(is_own(trained) for trained in networks)
    if out is None and not own:
        why = "imported networks make no default bundle"
        raise StillflowError("cannot tell where to write the bundle", why, "say it with -o FOLDER")
    out = out or DEFAULT_TARGET
    title = _checked(name or out.stem)
    outputs = dict(_pair(text) for text in said)
    usual = ("fp32", "fp16") if own else ("fp32",)
    wanted, scales_from = all_precisions(precisions or usual, int8, calibration)
    made, receipts = write_bundle(
        out,
        networks,
        name=title,
        what=what or (EDGE if own else "; ".join(plan.what for t in networks for plan in t.plans)),
        photos=photos_in(photos),
        outputs=outputs,
        precisions=wanted,  # type: ignore[arg-type]
        calibration=scales_from,
        progress=progress,
    )
    size = sum(file.bytes for file in made.manifest.files)
    summary = {"bundle": str(out), "bytes": size, "outputs": made.manifest.outputs}
    say(as_json, summary, receipts)


def _networks(flow: Path | None, generator: Path | None) -> list[Trained]:
    """Load what was named, and of our own networks what lies in the usual places."""
    from stillflow_export.load import trained_weights

    networks = []
    if generator is not None:
        networks.append(_part(trained_weights(generator, "generator"), generator, False))
    if flow is not None:
        networks.append(_part(trained_weights(flow, "flow"), flow, True))
    names = {plan.name for trained in networks for plan in trained.plans}
    if "encoder" not in names and "flow" not in names and "scene_flow" not in names:
        place = _first("flow")
        if place is None:
            why, fix = "no weights of the flow network were found", "train with `make train`, or say --flow"
            raise StillflowError("cannot make the bundle", why, fix)
        networks.append(trained_weights(place, "flow"))
    if generator is None and "scene_flow" not in names and (place := _first("generator")) is not None:
        networks.append(trained_weights(place, "generator"))
    # Flow networks first, as a photo meets them.
    return sorted(networks, key=lambda trained: trained.plans[0].name not in FLOW_GRAPHS)


def _part(trained: Trained, weights: Path, flow: bool) -> Trained:
    """Take the graphs that an option asks for: one file may hold a generator and a flow network."""
    plans = tuple(plan for plan in trained.plans if (plan.name in FLOW_GRAPHS) == flow)
    if not plans:
        option, other = ("--flow", "--generator") if flow else ("--generator", "--flow")
        held = ", ".join(plan.name for plan in trained.plans)
        raise StillflowError(f"cannot use {weights} as {option}", f"it holds {held}", f"give it with {other}")
    return replace(trained, plans=plans)


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


def _checked(name: str) -> str:
    """The name of a bundle, refused before an export that takes minutes goes into one that cannot be opened."""
    import msgspec

    from stillflow.bundle.manifest import Name

    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise StillflowError(
            f"cannot call the bundle {name!r}",
            "a name holds letters, digits, dots, dashes, plus signs and underscores",
            "say another with --name",
        ) from error
