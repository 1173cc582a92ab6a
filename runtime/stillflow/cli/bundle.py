# SPDX-License-Identifier: Apache-2.0
"""``stillflow bundle show`` and ``stillflow bundle verify``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stillflow.bundle import Bundle


@click.group()
def bundle() -> None:
    """Look into a bundle of networks, or verify it. Without PATH: the default bundle."""


@bundle.command(short_help="Print what a bundle holds, who made it, and its licences.")
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one object on stdout.")
def show(path: str | None, as_json: bool) -> None:
    """Print what the bundle at PATH holds, who made it and under which licences."""
    from stillflow.bundle import Bundle

    opened = Bundle.open(path)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(opened.manifest)))
        return
    for line in _lines(opened):
        click.echo(line)


@bundle.command(short_help="Check every hash of a bundle, and run its test vectors.")
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one object on stdout.")
@click.pass_context
def verify(context: click.Context, path: str | None, as_json: bool) -> None:
    """Check every hash of the bundle at PATH, and run its test vectors. Exit code 2 when one fails."""
    from stillflow.bundle import Bundle

    checks = Bundle.open(path).verify()
    fine = all(check.ok for check in checks)
    if as_json:
        rows = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
        click.echo(json.dumps({"ok": fine, "checks": rows}))
    else:
        for check in checks:
            click.echo(f"{'ok' if check.ok else 'FAIL':>4}  {check.name}  {check.detail}")
    context.exit(0 if fine else 2)


def _lines(opened: Bundle) -> list[str]:
    manifest = opened.manifest
    total = sum(file.bytes for file in manifest.files)
    lines = [
        f"{manifest.name}: {manifest.what}",
        f"  where      {opened.where}",
        f"  schema     {manifest.schema_version}",
        f"  made by    {manifest.creator}",
        f"  holds      {len(manifest.files)} files, {total / 1e6:.2f} MB",
        f"  precision  {manifest.default_precision}",
    ]
    for licence in manifest.licences:
        holder = f", {licence.holder}" if licence.holder else ""
        lines.append(f"  licence    {licence.spdx} for {licence.covers}{holder}")
    for graph in manifest.graphs:
        bytes_ = {file.path: file.bytes for file in manifest.files}.get(graph.file, 0)
        lines.append(f"  graph      {graph.name}: {graph.what}")
        lines.append(
            f"             {graph.file}, {graph.precision}, opset {graph.opset}, {bytes_ / 1e6:.2f} MB"
        )
        for side, tensors in (("in ", graph.inputs), ("out", graph.outputs)):
            for tensor in tensors:
                kind = f"{tensor.dtype} ({', '.join(map(str, tensor.shape))})"
                lines.append(f"               {side} {tensor.name} {kind}  {tensor.meaning}".rstrip())
    lines += [f"  weights    {w.graph}: {w.source} ({w.licence})" for w in manifest.weights]
    lines += [f"  runs       {output}: {maker}" for output, maker in manifest.outputs.items()]
    lines += [f"  receipt    {r.file}  {r.what}".rstrip() for r in manifest.receipts]
    return lines
