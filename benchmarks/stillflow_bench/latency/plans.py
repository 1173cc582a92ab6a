# SPDX-License-Identifier: Apache-2.0
"""The plans that come with the suite: quick, standard and full, and one block of a person's own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow_bench.latency.families import FEW, MOST, PEERS, SHARE, TAIL, Families
from stillflow_bench.latency.percentile import CLAIMS, needed
from stillflow_bench.latency.plan import Load, Plan
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import KINDS

QUICK_SIZE = (640, 360)

SUSTAINED_SECONDS, SUSTAINED_ROUNDS = 600.0, 10
"""Ten minutes, kept minute by minute: a crash loses no more than one."""

CPU_PEERS = ("openvino", *(name for name, *_ in PEERS))


def quick(subject: Subject, photos: str = "", seed: int = 0) -> Plan:
    """Every boundary once, in less than 45 seconds on two cores at 640x360, the judge and the report included.

    Args:
        subject: what runs.
        photos: folder of photos; "": those of the package.
        seed: of all that is drawn.
    """
    families = Families(subject, photos, seed)
    networks = Load(queries=64, warm_up=24, audit=8, rounds=3)
    frames = Load(queries=544, warm_up=200, audit=16, rounds=3)
    blocks = [
        *families.networks(networks, MOST, ("raw-onnxruntime",)),
        *families.frame(Load(queries=44, warm_up=2, audit=3), MOST),
        *families.next_frame(frames, TAIL, Load(queries=96, warm_up=16, audit=8, rounds=3)),
        *families.job(Load(queries=7, warm_up=1), FEW, moving=SHARE, loops=2),
    ]
    return Plan("quick", tuple(blocks), seed)


def standard(subject: Subject, photos: str = "", seed: int = 0) -> Plan:
    """All boundaries, scenarios and peers of a CPU, in about five minutes on two cores at 1280x720.

    Args:
        subject: what runs.
        photos: folder of photos; "": those of the package.
        seed: of all that is drawn.
    """
    families = Families(subject, photos, seed)
    next_frame = families.next_frame(
        Load(queries=544, warm_up=200, audit=16, rounds=4),
        TAIL,
        Load(queries=64, warm_up=16, audit=8, rounds=4),
    )
    blocks = [
        *families.networks(Load(queries=64, warm_up=12, audit=8, rounds=4), MOST, CPU_PEERS),
        *families.frame(Load(queries=44, warm_up=3, audit=4), MOST),
        *next_frame,
        *families.loads(next_frame[0], 480, 2, TAIL),
        *families.job(Load(queries=8, warm_up=1, audit=2), FEW),
        families.cold(10),
        *families.scaling(80),
    ]
    return Plan("standard", tuple(blocks), seed)


def full(subject: Subject, photos: str = "", seed: int = 0) -> Plan:
    """All that can be measured here, in an hour and more: minutes on end, the knee of the rate, LoadGen, a GPU.

    Args:
        subject: what runs.
        photos: folder of photos; "": those of the package.
        seed: of all that is drawn.
    """
    families = Families(subject, photos, seed)
    networks = families.networks(Load(queries=480, audit=32, rounds=10), TAIL, CPU_PEERS)
    frame = families.frame(Load(queries=480, audit=16, rounds=10), TAIL)
    next_frame = families.next_frame(
        Load(queries=2000, warm_up=32, audit=64, rounds=10), TAIL, Load(queries=480, audit=32, rounds=10)
    )
    sustained = replace(
        frame[0],
        name="frame-sustained",
        title="stillflow, ten minutes on end",
        group="",
        load=Load("sustained", 64, SUSTAINED_SECONDS, warm_up=3, rounds=SUSTAINED_ROUNDS, seed=seed),
        claims=MOST,
    )
    blocks = [
        *networks,
        *families.loads(networks[0], 480, 2, TAIL),
        *frame,
        *next_frame,
        *families.loads(next_frame[0], 2000, 2, TAIL),
        *families.sweep(next_frame[0], 1000),
        *families.job(Load(queries=64, warm_up=2, audit=4, rounds=4), MOST),
        families.cold(44),
        *families.scaling(200),
        *families.published(3),
        *families.loadgen(networks[0], 480),
        sustained,
        *(families.gpu(Load(queries=480, warm_up=20, audit=32, rounds=5), TAIL) if find_gpu() else ()),
    ]
    return Plan("full", tuple(blocks), seed)


def own(kind: str, subject: Subject, load: Load, photos: str = "", seed: int = 0) -> Plan:
    """One block of a person's own.

    Args:
        kind: of the target.
        subject: what runs.
        load: how it is loaded.
        photos: folder of photos; "": those of the package.
        seed: of all that is drawn.

    Raises:
        StillflowError: there is no such target, or the load makes no sense.
    """
    if kind not in KINDS:
        raise StillflowError(
            f"cannot measure '{kind}'", "there is no such target", f"use one of {', '.join(KINDS)}"
        )
    if not (math.isfinite(load.rate) and math.isfinite(load.seconds)):
        raise StillflowError(
            f"cannot measure '{kind}'",
            f"{load.rate:g} queries a second and {load.seconds:g} seconds are no load",
            "give --rate and --seconds as finite numbers",
        )
    if load.scenario == "server" and not load.rate:
        raise StillflowError(
            "cannot load a server", "nobody says how many queries arrive", "add --rate, in queries a second"
        )
    if load.scenario == "cold" and kind not in ("cold", "fake"):
        raise StillflowError(
            f"cannot start '{kind}' cold", "its queries share a process that is warm", "use --target cold"
        )
    if kind == "cold":
        load = replace(load, scenario="cold")
    if load.scenario == "sustained" and not load.seconds:
        load = replace(load, seconds=SUSTAINED_SECONDS, rounds=SUSTAINED_ROUNDS)
    block = Families(subject, photos, seed).block(
        kind,
        "stillflow" if KINDS[kind].role == "ours" else kind,
        kind,
        KINDS[kind].boundary,
        load,
        role=KINDS[kind].role,
        claims=claims_of(load),
    )
    return Plan("own", (block,), seed)


def claims_of(load: Load) -> tuple[float, ...]:
    """Percentiles that a load's queries suffice for, the 95th left out: 50, 90, 99, 99.9."""
    count = load.queries * (load.lanes if load.scenario == "multi_stream" else 1)
    return tuple(rank for rank in CLAIMS if rank != 95 and count >= needed(rank))


def chosen(plan: Plan, names: Sequence[str]) -> Plan:
    """A plan with some of its blocks, and those whose capacity they need.

    Args:
        plan: whole.
        names: of blocks.

    Raises:
        StillflowError: there is no such block.
    """
    known = {block.name: block for block in plan.blocks}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise StillflowError(
            f"cannot measure the block '{unknown[0]}'",
            f"the plan {plan.name} has none of that name",
            f"use some of {', '.join(known)}",
        )
    wanted = {*names, *(known[name].load.of for name in names)}
    return replace(plan, blocks=tuple(block for block in plan.blocks if block.name in wanted))
