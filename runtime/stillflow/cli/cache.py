# SPDX-License-Identifier: Apache-2.0
"""``stillflow cache list`` and ``stillflow cache prune``."""

from __future__ import annotations

import json

import click

from stillflow.cli.options import Amount


@click.group()
def cache() -> None:
    """See or clear the cache of built engines. STILLFLOW_CACHE names another place for it."""


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
