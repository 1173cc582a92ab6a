# SPDX-License-Identifier: Apache-2.0
"""``stillflow cache list``, ``stillflow cache add`` and ``stillflow cache prune``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stillflow.cli.options import Amount


@click.group()
def cache() -> None:
    """See, fill or clear the cache of built engines. STILLFLOW_CACHE names another place for it."""


@cache.command("list", short_help="Print what is in the cache.")
@click.option("--json", "as_json", is_flag=True, help="Print one object on stdout.")
def list_entries(as_json: bool) -> None:
    """Print every engine in the cache: what it is, for what it was built, its size, and whether it is sound."""
    from stillflow.build.cache import EngineCache
    from stillflow.build.housekeeping import describe_stored, leftovers

    found = EngineCache()
    rows = [describe_stored(found, stored) for stored in found.stored()]
    rest = leftovers(found)
    if as_json:
        click.echo(json.dumps({"cache": str(found.root), "engines": rows, "leftover_bytes": rest}))
        return
    for row in rows:
        if row["why"]:
            click.echo(f"FAIL  {row['key'][:12]}  damaged: {row['why']}")
            continue
        click.echo(
            f"ok    {row['key'][:12]}  {row['bundle']} {row['graph']} {row['precision']}, {row['library']} "
            f"{row['library_version']}, {row['target']}, {row['bytes'] / 1e6:.1f} MB, {row['created']}, "
            f"gate C: {row['gate_c']}"
        )
    size = sum(row["bytes"] for row in rows)
    click.echo(f"{found.root}: {len(rows)} engines, {size / 1e6:.1f} MB; leftovers {rest / 1e6:.1f} MB")


@cache.command(short_help="Take engines that were built elsewhere into the cache.")
@click.argument("engines", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ENGINE...")
@click.option("--for-another-machine", "elsewhere", is_flag=True,
              help="Keep engines that are not for the library and the GPU of this machine.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace engines that are in the cache.")
@click.option("--json", "as_json", is_flag=True, help="Print one object on stdout.")
def add(engines: tuple[Path, ...], elsewhere: bool, force: bool, as_json: bool) -> None:
    """Take each ENGINE that `stillflow build --out` wrote, with the sidecars beside it, into the cache.

    An engine is code: take only what you built yourself, or what you trust as you trust a program. Gate C, the
    comparison with the ONNX file, runs before it is first used.
    """
    from stillflow.build.cache import EngineCache
    from stillflow.build.receiving import receive

    found = EngineCache()
    rows = []
    for path in engines:
        received = receive(path, found, elsewhere=elsewhere, replace=force)
        entry = received.entry
        rows.append(
            {
                "path": str(path),
                "key": entry.parts.key,
                "bundle": entry.bundle,
                "graph": entry.graph,
                "precision": entry.precision,
                "library": entry.parts.builder,
                "library_version": entry.parts.builder_version,
                "target": str(entry.parts.target),
                "new": received.new,
            }
        )
        if not as_json:
            state = "added" if received.new else "there already"
            click.echo(
                f"ok    {entry.bundle} {entry.graph} {entry.precision}, {entry.parts.builder} "
                f"{entry.parts.builder_version}, {entry.parts.target}: {state}"
            )
    if as_json:
        click.echo(json.dumps({"cache": str(found.root), "engines": rows}))


@cache.command(short_help="Remove what is damaged, left over, or no longer of use.")
@click.option("--all", "everything", is_flag=True, help="Remove every engine, timing cache and kernel.")
@click.option("--older-than", type=Amount(min=0), metavar="DAYS", help="Remove engines older than that.")
@click.option("--bundle", metavar="NAME", help="Remove the engines of this bundle.")
@click.option("--json", "as_json", is_flag=True, help="Print one object on stdout.")
def prune(everything: bool, older_than: float | None, bundle: str | None, as_json: bool) -> None:
    """Remove damaged engines, leftovers of builds that failed, and engines of other versions than are installed.

    With options, those engines as well. An engine that is being built is left alone.
    """
    from stillflow.build.cache import EngineCache
    from stillflow.build.housekeeping import prune_cache

    found = EngineCache()
    removed, freed = prune_cache(found, everything=everything, older_than=older_than, bundle=bundle)
    if as_json:
        click.echo(json.dumps({"cache": str(found.root), "removed": removed, "freed_bytes": freed}))
        return
    click.echo(f"{found.root}: removed {len(removed)} engines, {freed / 1e6:.1f} MB became free")
