# SPDX-License-Identifier: Apache-2.0
"""Runs that nobody measured: folders with samples of known distributions, written as a run writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from stillflow_bench.latency.page.material import Material, read_material
from stillflow_bench.latency.plan import Block, Load, Plan
from stillflow_bench.latency.record import (
    SCHEMA,
    TELEMETRY,
    Host,
    Look,
    Measured,
    Record,
    Tool,
    sample_path,
    write_record,
)
from stillflow_bench.latency.sample import Sample, read_hashed, write_samples
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.summaries import summaries
from stillflow_bench.latency.target import Facts, Role, TargetSpec

SECOND = 1_000_000_000


@dataclass
class Made:
    """A folder that grows block by block, and can be written at any time."""

    folder: Path
    title: str = "a machine that nobody owns"
    telemetry: bool = True
    sources: dict[str, str] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    now: int = SECOND

    def block(
        self,
        name: str,
        kind: str,
        boundary: Any,
        times: Sequence[float],
        *,
        role: Role = "ours",
        title: str = "",
        group: str = "",
        spans: dict[str, float] | None = None,
        subject: Subject | None = None,
        load: Load | None = None,
        facts: Facts | None = None,
        missing: str = "",
        failing: int = 0,
    ) -> None:
        """Add a block: milliseconds of each measured query, and inside spans as shares of them."""
        load = load or Load(queries=len(times), warm_up=3, rounds=5)
        block = Block(
            name=name,
            title=title or name.replace("-", " "),
            role=role,
            target=TargetSpec(kind=kind, boundary=boundary, subject=subject or Subject()),
            load=load,
            group=group,
            claims=(50.0, 90.0),
        )
        if missing:
            self.measured.append(Measured(block, missing=missing))
            return
        samples: list[Sample] = []
        began = self.now
        every = [(1.6 * times[0], "warm-up")] * load.warm_up + [(time, "measured") for time in times]
        arrival = float(self.now)
        rng = np.random.default_rng(len(name))
        for index, (milliseconds, phase) in enumerate(every):
            spent = round(milliseconds * 1e6)
            scheduled = None
            if load.scenario == "server":
                arrival += rng.exponential(1e9 / load.rate)
                self.now = max(self.now, round(arrival))
                scheduled = round(arrival)
            samples.append(
                Sample(
                    index=index,
                    phase=phase,  # type: ignore[arg-type]
                    input=index % 32,
                    issued=self.now,
                    done=self.now + spent,
                    scheduled=scheduled,
                    lane=index % load.lanes,
                    round=max(0, index - load.warm_up) * load.rounds // len(times),
                    spans={key: round(spent * share) for key, share in (spans or {}).items()},
                    digest=f"{index % 32:016x}",
                    error="the engine said no"
                    if phase == "measured" and index < load.warm_up + failing
                    else "",
                )
            )
            if index % load.lanes == load.lanes - 1:
                self.now += spent + 20_000
        path = sample_path(self.folder, name)
        write_samples(path, samples)
        self.measured.append(
            Measured(
                block=block,
                facts=facts or FACTS,
                samples=len(samples),
                sha256=read_hashed(path)[1],
                summaries=summaries(block, samples),
                began=began,
                ended=self.now,
                rss_peak=412_000_000,
                cpu_seconds=1.9 * float(sum(times)) / 1e3,
            )
        )

    def write(self) -> Path:
        """Write result.json and telemetry, and return the folder."""
        looks = [self.look(at) for at in range(0, self.now + SECOND, max(SECOND // 2, self.now // 400))]
        if self.telemetry:
            lines = b"\n".join(msgspec.json.encode(look) for look in looks)
            (self.folder / TELEMETRY).write_bytes(lines + b"\n")
        write_record(
            self.folder,
            Record(
                schema=SCHEMA,
                tool=Tool(
                    "0.1.0", "0123456789ab", "stillflow-bench run --quick -o run", "2026-01-02T03:04:05Z"
                ),
                host=Host(
                    self.title, "Tin Can at 2 GHz", 2, 4.0, "Linux 6 x86_64", "3.11.0", {"numpy": "2.0"}
                ),
                plan=Plan("own", tuple(one.block for one in self.measured), sources=self.sources),
                measured=tuple(self.measured),
                before=looks[0],
                after=looks[-1],
                looking=0.25,
            ),
        )
        return self.folder

    def look(self, at: int) -> Look:
        """A machine that grows warm and slow."""
        share = at / max(self.now, 1)
        return Look(
            at=at,
            load=1.0 + 0.2 * share,
            busy=1.7 * at / SECOND,
            own=1.6 * at / SECOND,
            steal=0.0,
            throttled=0,
            mhz=3200 - 500 * share**3,
            celsius=48 + 30 * share**0.5,
            joules=21.0 * at / SECOND,
        )


FACTS = Facts(
    engine="onnxruntime",
    version="1.22.0",
    provider="CPUExecutionProvider",
    precision={"flow": "fp32", "generator": "fp32"},
    device="cpu",
    frames="c, avx2",
    hashes={"bundle": "b" * 64, "flow": "f" * 64, "generator": "a" * 64},
    receipts={
        "flow": {"gate": "gate-a", "passed": True, "onnx_sha256": "f" * 64},
        "generator": {"gate": "gate-a", "passed": True, "onnx_sha256": "a" * 64},
    },
    inputs=[f"{k:064x}" for k in range(32)],
    photos=[f"photo{k}.webp" for k in range(32)],
)

Make = Callable[..., Made]
Read = Callable[[Made], Material]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Begins a run in a new folder."""
    return lambda **more: Made(tmp_path / "run", **more)


@pytest.fixture
def read() -> Read:
    """Writes a run and reads it again, judged."""
    return lambda made: read_material(made.write())


@pytest.fixture
def facts() -> Facts:
    """What a target of ours says of itself."""
    return FACTS


@pytest.fixture(scope="session")
def rich_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of everything: limits, ours, peers, stages, sizes, shares, lanes, a server, minutes, cold starts, gaps."""
    made = Made(tmp_path_factory.mktemp("rich") / "run")
    rng = np.random.default_rng(7)

    def noisy(middle: float, count: int) -> list[float]:
        return [float(value) for value in middle * rng.lognormal(0, 0.03, count)]

    inner = {
        "B0.device": 0.20, "B0.device flow": 0.13, "B0.device generator": 0.07,
        "B2.call": 0.21, "B2.call flow": 0.135, "B2.call generator": 0.075,
        "stage frame": 0.02, "stage motion": 0.5, "stage assess": 0.08, "stage scene": 0.38,
    }  # fmt: skip
    nets = {"B0.device": 0.95, "B0.device flow": 0.6, "B0.device generator": 0.35, "B2.call": 1.0}
    networks = {"flow": {"photo": [1, 3, 192, 320]}, "generator": {"field": [1, 1, 180, 320]}}
    told = msgspec.structs.replace(FACTS, notes={"shapes": networks})
    made.block("first", "frame", "B3.frame", noisy(400, 50), title="first frame", group="frame", spans=inner)
    made.block("published", "published-torch", "B3.frame", noisy(55_000, 7), role="peer", group="frame")
    made.block("networks", "networks", "B2.call", noisy(84, 60), group="nets", spans=nets, facts=told)
    made.block("raw-ort", "raw-onnxruntime", "B2.call", noisy(83, 60), role="limit", group="nets")
    made.block("torch-eager", "torch", "B2.call", noisy(190, 50), role="peer", group="nets")
    made.block(
        "trt", "raw-tensorrt", "B2.call", [], role="peer", group="nets", missing="there is no GPU here"
    )
    tail = np.where(rng.random(600) < 0.01, 40.0, 3.1) * rng.lognormal(0, 0.05, 600)
    made.block("next", "next", "B3.next", [float(t) for t in tail], title="next frame", group="next")
    made.block("copy", "copy", "B3.next", noisy(0.31, 600), role="limit", group="next")
    made.block("warp", "plain-warp", "B3.next", noisy(14, 50), role="baseline", group="next")
    wide = Subject(width=1920, height=1080)
    made.block("next-1080p", "next", "B3.next", noisy(6.8, 50), subject=wide)
    for share in (0.3, 0.6):
        made.block(
            f"moving-{share:g}", "next", "B3.next", noisy(6 * share, 50), subject=Subject(moving=share)
        )
    for lanes in (1, 2):
        load = Load("offline", queries=50, warm_up=2, lanes=lanes)
        made.block(f"lanes-{lanes}", "networks", "B2.call", noisy(84, 50), load=load)
    for rate in (4, 11):
        load = Load("server", queries=50, warm_up=2, rate=rate)
        made.block(f"server-{rate:g}", "networks", "B2.call", noisy(84, 50), load=load)
    drift = 300 * (1 + 0.4 * np.linspace(0, 1, 600) ** 2)
    load = Load("sustained", queries=600, warm_up=3)
    made.block("sustained", "next", "B3.next", [float(t) for t in drift], load=load)
    parts = {"process start": 0.02, "import": 0.3, "load": 0.25, "first call": 0.2, "first frame": 0.2}
    cold = Load("cold", queries=10, warm_up=0)
    made.block("cold", "cold", "B5.cold", noisy(1400, 10), spans=parts, load=cold)
    job = {"stage read": 0.01, "stage motion": 0.12, "stage scene": 0.08, "stage video": 0.76}
    made.block("job", "job", "B4.job", noisy(2600, 10), spans=job, failing=2)
    return made.write()


@pytest.fixture(scope="session")
def rich(rich_run: Path) -> Material:
    """The same, read and judged."""
    return read_material(rich_run)
