# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export import``: a checkpoint from elsewhere to weights of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillflow_export.checkpoints.sources import SOURCES

if TYPE_CHECKING:
    from stillflow_export.checkpoints.importer import Imported


@click.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("weights"),
              show_default=True, help="Folder for NAME.safetensors and NAME.json.")  # fmt: skip
@click.option("--source", type=click.Choice(list(SOURCES)), help="Who published it: SLR-SFS, text2cinemagraph, "
              "3D-Cinemagraphy or us. Needed where the tensors cannot tell.")  # fmt: skip
@click.option("--name", help="Name of the files.  [default: SOURCE-NETWORK, such as slr-generator]")
@click.option("--overwrite", is_flag=True, help="Replace files of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
def import_(
    checkpoint: Path, out: Path, source: str | None, name: str | None, overwrite: bool, as_json: bool
) -> None:
    """Recognise a published checkpoint by its tensors and turn it into weights that can be exported.

    CHECKPOINT is a .pth, .pt or .safetensors file. It is read as data: nothing in it is run. Constants are
    folded, every tensor is used or named, and its source, hash and licence are written beside the weights.
    """
    from stillflow_export.checkpoints.importer import import_checkpoint

    made = import_checkpoint(checkpoint, out, source=source, name=name, overwrite=overwrite)
    if as_json:
        click.echo(json.dumps({"imported": [_summary(one) for one in made]}))
        return
    for one in made:
        for line in _lines(one):
            click.echo(line)


def _summary(one: Imported) -> dict[str, Any]:
    import msgspec

    return {"weights": str(one.weights), **msgspec.to_builtins(one.receipt)}


def _lines(one: Imported) -> list[str]:
    receipt = one.receipt
    ignored = len(receipt.tensors.ignored)
    told = ", ".join(f"{key} {_told(value)}" for key, value in receipt.options.items())
    loop = ", ".join(f"{key} {_told(value)}" for key, value in receipt.loop.items())
    form = receipt.family.replace("_", " ")
    some = f" ({', '.join(receipt.tensors.ignored[:4])}{', ...' if ignored > 4 else ''})" if ignored else ""
    return [
        f"{one.weights}: {form} of {receipt.source_name}, {receipt.parameters:,} parameters",
        f"  tensors: {receipt.tensors.used} used, {ignored} ignored{some}",
        *([f"  not read: {', '.join(receipt.checkpoint.beside)}"] if receipt.checkpoint.beside else []),
        *([f"  options: {told}"] if told else []),
        *([f"  loop: {loop}"] if loop else []),
        f"  checkpoint: {receipt.checkpoint.name}, sha256 {receipt.sha256}",
        f"  licence: {receipt.licence}. {receipt.licence_note}",
        *(f"  assumed: {sentence}" for sentence in receipt.assumed),
    ]


def _told(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
