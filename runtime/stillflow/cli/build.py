# SPDX-License-Identifier: Apache-2.0
"""``stillflow build``: engines for one device, from the graphs of a bundle."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillflow.cli.building import told_orders
from stillflow.cli.options import Amount, overwrite_option

if TYPE_CHECKING:
    from stillflow.build.builder import Engine

EPILOG = """\b
Examples:
  stillflow build edge --for jetson-orin-nx
  stillflow build edge --for rtx-4090 --out engines
  stillflow build my-bundle --for ./my-device.json --precision fp16 --graph decoder
"""


@click.command(short_help="Build TensorRT engines for one device.", epilog=EPILOG)
@click.argument("path", metavar="[BUNDLE]", required=False)
@click.option("--for", "device", required=True, metavar="PROFILE",
              help="Name of a device profile, auto for the GPU of this machine, or the path of a profile.")  # fmt: skip
@click.option("--precision", metavar="fp32|fp16|int8",
              help="Which files of the graphs.  [default: the profile's, where the bundle has them]")  # fmt: skip
@click.option(
    "--graph", "graphs", multiple=True, metavar="NAME", help="Only this graph. May be given several times."
)
@click.option("--device", "gpu", default="cuda", show_default=True, metavar="cuda|cuda:N",
              help="Which GPU of this machine to build on, where the library builds on the device itself.")  # fmt: skip
@click.option("--library", metavar="tensorrt|tensorrt_rtx", help="What builds.  [default: the profile's]")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Copy the engines with their sidecars into a folder, to ship them.")  # fmt: skip
@overwrite_option
@click.option("--force", is_flag=True, help="Build even what is in the cache.")
@click.option("--timeout", type=Amount(min=0, min_open=True), metavar="SECONDS",
              help="End a build that takes longer.  [default: none]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
@click.pass_context
def build(
    context: click.Context,
    path: str | None,
    device: str,
    precision: str | None,
    graphs: tuple[str, ...],
    gpu: str,
    library: str | None,
    out: Path | None,
    overwrite: bool,
    force: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Build an engine for each graph of BUNDLE (the default one) and keep it in the cache of engines.

    What is in the cache already is not built again. Exit code 2 when gate C, the comparison with the ONNX file
    by the bundle's test vectors, fails on the GPU at hand; the engine is then not used.
    """
    from stillflow.build.builder import build_engines, load_on_cpu
    from stillflow.build.profile import load_profile, profile_for
    from stillflow.build.shipping import check_folder, ship
    from stillflow.bundle import Bundle
    from stillflow.errors import StillflowError
    from stillflow.gpu.description import find_gpu
    from stillflow.sessions import cuda_index

    begun = time.monotonic()
    index = cuda_index(gpu)
    here = None if index is None else find_gpu(index)
    profile = profile_for(here) if device == "auto" else load_profile(device)
    opened = Bundle.open(path)
    if profile.compute_capability is None:
        ran = load_on_cpu(opened, profile, library=library, precision=precision, graphs=graphs)
        if as_json:
            click.echo(json.dumps({"profile": profile.name, "engines": [], "loaded": ran}))
        else:
            for name, loaded in ran.items():
                click.echo(f"ok    {name}  {loaded} loads on onnxruntime")
            click.echo(
                f"nothing to build for {profile.name}: onnxruntime runs the bundle's files as they are"
            )
        return
    if index is None:
        fix = "leave --device out: where no GPU is, engines are built ahead of time for the one that --for names"
        raise StillflowError("cannot build engines on the device cpu", "they run on GPUs", fix)
    if out is not None:
        check_folder(out)
    orders = told_orders(force=force, timeout=timeout, drawn=not as_json)
    engines = build_engines(
        opened,
        profile,
        library=library,
        precision=precision,
        graphs=graphs,
        orders=orders,
        device=index,
    )
    shipped = [] if out is None else ship(engines, profile.name, out, overwrite=overwrite)
    failed = [engine for engine in engines if engine.gate.get("state") == "failed"]
    if as_json:
        rows = [_summary(engine) for engine in engines]
        found = {"profile": profile.name, "engines": rows, "shipped": [str(p) for p in shipped]}
        click.echo(json.dumps(found | {"seconds": round(time.monotonic() - begun, 3), "ok": not failed}))
    else:
        for engine in engines:
            for line in _lines(engine):
                click.echo(line)
        for place in shipped:
            click.echo(f"wrote {place}")
        click.echo(f"{len(engines)} engines for {profile.name} in {time.monotonic() - begun:.1f} s")
    context.exit(2 if failed else 0)


def _summary(engine: Engine) -> dict[str, Any]:
    entry = engine.entry
    return {
        "graph": entry.graph,
        "precision": entry.precision,
        "path": str(engine.path),
        "key": entry.parts.key,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "library": entry.parts.builder,
        "library_version": entry.parts.builder_version,
        "target": str(entry.parts.target),
        "seconds": entry.seconds,
        "cached": engine.cached,
        "layers": entry.layers,
        "inspected": entry.inspected,
        "gate_c": engine.gate,
        "notes": list(engine.notes),
    }


def _lines(engine: Engine) -> list[str]:
    entry = engine.entry
    how = "from the cache" if engine.cached else f"built in {entry.seconds:.1f} s"
    state = engine.gate.get("state")
    why = f" ({engine.gate['why']})" if engine.gate.get("why") else ""
    mark = "FAIL" if state == "failed" else "ok  "
    made = f"{entry.layers} layers, {entry.bytes / 1e6:.1f} MB, {entry.parts.builder} {entry.parts.builder_version}"
    return [
        f"{mark}  {entry.graph} {entry.precision}: {how}, {made}",
        f"      {engine.path}",
        f"      gate C: {state}{why}",
        *(f"      note: {note}" for note in engine.notes),
    ]
