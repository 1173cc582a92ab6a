# SPDX-License-Identifier: Apache-2.0
"""Blocks that belong together: ours at a boundary with its peers and limits, and one block varied in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Role, TargetSpec
from stillflow_bench.photos import SIZES

SHARE = 0.3
"""Of the picture that moves, where a share is given: as in the suites "kernels" and "encode"."""

SHARES = (0.0, 0.1, 0.3, 0.6, 1.0)

FEW = (50.0,)
MOST = (50.0, 90.0)
TAIL = (50.0, 90.0, 99.0)

PEERS: Sequence[tuple[str, str, str, dict[str, str | int | float | bool]]] = (
    ("raw-onnxruntime", "raw ONNX Runtime, our options", "raw-onnxruntime", {"options": "same"}),
    (
        "raw-onnxruntime-default",
        "raw ONNX Runtime, its own options",
        "raw-onnxruntime",
        {"options": "default"},
    ),
    ("raw-openvino", "raw OpenVINO", "raw-openvino", {}),
    ("torch-eager", "PyTorch eager", "torch", {"compile": False}),
    ("torch-compile", "PyTorch, torch.compile", "torch", {"compile": True}),
)
"""Name, title, kind and options of other ways to run the same networks on the CPU."""

GPU_ENGINES = ("tensorrt", "rtx", "onnxruntime")

WARM_FRAMES = 40
"""Frames before those that count: a fresh process was seen to be slower for its first 0.2 s, 40 frames at 720p."""

ROUNDS = 8
"""Of blocks under both drivers: LoadGen makes a test of each turn, and a machine that wavers disturbs both alike."""

SWEEP = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Rates as shares of the capacity: beyond the last one the queue grows for as long as one measures."""


@dataclass(frozen=True)
class Families:
    """Makes blocks of one subject.

    Attributes:
        subject: what ours runs.
        photos: folder of photos, or "".
        seed: of arrivals and of the order of inputs.
    """

    subject: Subject
    photos: str = ""
    seed: int = 0

    def block(
        self,
        name: str,
        title: str,
        kind: str,
        boundary: Boundary,
        load: Load,
        *,
        role: Role = "ours",
        group: str = "",
        claims: tuple[float, ...] = FEW,
        subject: Subject | None = None,
        options: dict[str, str | int | float | bool] | None = None,
    ) -> Block:
        """One block; what is not said is the plan's."""
        spec = TargetSpec(kind, boundary, subject or self.subject, self.photos, options or {})
        return Block(name, title, role, spec, replace(load, seed=self.seed), group, claims)

    def networks(self, load: Load, claims: tuple[float, ...], peers: Sequence[str]) -> list[Block]:
        """Both networks at B2, beside other ways to run them.

        Args:
            load: of each.
            claims: of each.
            peers: names from ``PEERS``, and "openvino" for our own session on OpenVINO.
        """
        made = [
            self.block("networks", "stillflow", "networks", "B2.call", load, group="networks", claims=claims)
        ]
        if "openvino" in peers and self.subject.engine != "openvino":
            other = self.varied(engine="openvino")
            title = "stillflow on OpenVINO"
            made.append(
                self.block(
                    "networks-openvino", title, "networks", "B2.call", load,
                    group="networks", claims=claims, subject=other,
                )
            )  # fmt: skip
        for name, title, kind, options in PEERS:
            if name in peers:
                made.append(
                    self.block(
                        name, title, kind, "B2.call", load,
                        role="peer", group="networks", claims=claims, options=options,
                    )
                )  # fmt: skip
        return made

    def frame(self, load: Load, claims: tuple[float, ...]) -> list[Block]:
        """From a photo to the first frame; what moves is what the networks find."""
        return [self.block("frame", "stillflow", "frame", "B3.frame", load, group="frame", claims=claims)]

    def next_frame(self, load: Load, claims: tuple[float, ...], others: Load) -> list[Block]:
        """One more frame of a loop of which a given share moves, beside the plain warp and a copy.

        Args:
            load: of ours and of the copy.
            claims: of both.
            others: of the plain warp.
        """
        subject = self.varied(moving=SHARE if self.subject.moving is None else self.subject.moving)

        def made(
            name: str, title: str, kind: str, role: Role, load: Load, claims: tuple[float, ...]
        ) -> Block:
            return self.block(
                name, title, kind, "B3.next", load, role=role, group="next", claims=claims, subject=subject
            )

        return [
            made("next", "stillflow", "next", "ours", load, claims),
            made("plain-warp", "plain warp: cv2.remap + addWeighted", "plain-warp", "baseline", others, MOST),
            made("copy", "copy of a frame", "copy", "limit", load, claims),
        ]

    def job(
        self, load: Load, claims: tuple[float, ...], moving: float | None = None, loops: int = 0
    ) -> list[Block]:
        """From a photo file to a finished file, beside encoding frames that are there already.

        Args:
            load: of both.
            claims: of both.
            moving: share, where it is to be given.
            loops: that are rendered to be encoded; 0: as many as fit into memory.
        """
        subject = self.varied(moving=moving if self.subject.moving is None else self.subject.moving)
        job = self.block(
            "job", "stillflow", "job", "B4.job", load, group="job", claims=claims, subject=subject
        )
        encode = self.block(
            "encode", "PyAV alone", "encode", "B4.job", load,
            role="limit", group="job", claims=claims, subject=subject, options={"photos": loops},
        )  # fmt: skip
        return [job, encode]

    def cold(self, processes: int) -> Block:
        """From nothing to the first frame, in processes of their own; the very first one is warm-up."""
        load = Load(scenario="cold", queries=processes, warm_up=1)
        return self.block("cold", "stillflow", "cold", "B5.cold", load)

    def loads(self, of: Block, queries: int, lanes: int, claims: tuple[float, ...]) -> list[Block]:
        """A block under the other scenarios: several streams, as many as possible, arrivals by chance.

        Args:
            of: that was measured in a single stream before; its rate is the capacity.
            queries: of each.
            lanes: of the first two.
            claims: of the server.
        """
        kinds = (
            ("multi-stream", f"{of.title}, {lanes} streams", FEW,
             Load("multi_stream", queries=-(-queries // lanes), lanes=lanes, warm_up=WARM_FRAMES, audit=8)),
            ("offline", f"{of.title}, offline, {lanes} lanes", FEW,
             Load("offline", queries=queries, lanes=lanes, warm_up=WARM_FRAMES, audit=8)),
            ("server", f"{of.title}, server at 60 % of its capacity", claims,
             Load("server", queries=queries, share=0.6, of=of.name, warm_up=WARM_FRAMES, audit=8)),
        )  # fmt: skip
        return [
            replace(
                of, name=f"{of.name}-{name}", title=title, group="", claims=asked,
                load=replace(load, seed=self.seed),
            )
            for name, title, asked, load in kinds
        ]  # fmt: skip

    def sweep(self, of: Block, queries: int) -> list[Block]:
        """A block under arrivals that come closer and closer, up to where the queue runs away."""
        return [
            replace(
                of,
                name=f"{of.name}-server-{100 * share:.0f}",
                title=f"{of.title}, server at {100 * share:.0f} % of its capacity",
                group="",
                claims=MOST,
                load=Load("server", queries=queries, share=share, of=of.name, seed=self.seed),
            )
            for share in SWEEP
        ]

    def scaling(self, queries: int, sizes: Sequence[str] = tuple(SIZES)) -> list[Block]:
        """The next frame varied in one thing: size, share, lanes. Few samples each.

        Args:
            queries: of each.
            sizes: names from ``SIZES``.
        """
        base = self.varied(moving=SHARE)
        load = Load(queries=queries, warm_up=8, audit=8)

        def made(name: str, title: str, group: str, subject: Subject, load: Load = load) -> Block:
            return self.block(name, title, "next", "B3.next", load, group=group, subject=subject)

        found = []
        for size in sizes:
            subject = replace(base, width=SIZES[size][0], height=SIZES[size][1])
            found.append(made(f"next-{size.lower()}", f"next frame at {size}", "sizes", subject))
        for share in SHARES:
            title = f"next frame, {100 * share:.0f} % moves"
            found.append(made(f"next-share-{100 * share:.0f}", title, "shares", replace(base, moving=share)))
        for lanes in (1, 2):
            several = Load("multi_stream", queries=queries, lanes=lanes, warm_up=8, audit=8)
            title = f"next frame, {lanes} {'lanes' if lanes > 1 else 'lane'}"
            found.append(made(f"next-lanes-{lanes}", title, "lanes", base, several))
        return found

    def published(self, queries: int) -> list[Block]:
        """The published family's pipeline, every picture of it at full size: seconds a frame."""
        load = Load(queries=queries, warm_up=1)
        subject = self.varied(moving=SHARE)
        return [
            self.block(
                name, title, name, "B3.next", load, role="peer", group="published", claims=(), subject=subject
            )
            for name, title in (
                ("published-torch", "published pipeline, PyTorch"),
                ("published-onnxruntime", "published pipeline, ONNX Runtime"),
            )
        ]

    def loadgen(self, of: Block, queries: int) -> list[Block]:
        """A block under both drivers, ours and MLPerf's, in each scenario.

        Args:
            of: that was measured in a single stream before.
            queries: of each.
        """
        loads = (
            Load("single_stream", queries=queries, rounds=ROUNDS),
            Load("multi_stream", queries=-(-queries // 2), lanes=2, rounds=ROUNDS),
            Load("offline", queries=queries, lanes=2, rounds=ROUNDS),
            Load("server", queries=queries, share=0.5, of=of.name, rounds=ROUNDS),
        )
        return [
            replace(
                of,
                name=f"{of.name}-{load.scenario.replace('_', '-')}-by-{driver}",
                title=f"{of.title}, {load.scenario} by {'LoadGen' if driver == 'loadgen' else 'our driver'}",
                group=f"{load.scenario} by both drivers",
                claims=TAIL if queries >= 459 else MOST,
                load=replace(load, driver=driver, seed=self.seed),
            )
            for load in loads
            for driver in ("own", "loadgen")
        ]

    def gpu(self, load: Load, claims: tuple[float, ...]) -> list[Block]:
        """Ours on a GPU by every engine, beside raw TensorRT and raw ONNX Runtime with inputs bound; cold starts."""
        made = []
        for engine in GPU_ENGINES:
            subject = self.varied(engine=engine, device="cuda")
            kinds: Sequence[tuple[str, str, Boundary]] = (
                ("device", "device", "B0.device"),
                ("transfer", "device", "B1.transfer"),
                ("networks", "networks", "B2.call"),
                ("frame", "frame", "B3.frame"),
            )
            made += [
                self.block(
                    f"gpu-{engine}-{name}", f"stillflow on {engine}", kind, boundary, load,
                    group=f"gpu {boundary}", claims=claims, subject=subject,
                )
                for name, kind, boundary in kinds
            ]  # fmt: skip
        cuda = self.varied(device="cuda")
        raw = (
            "gpu-raw-tensorrt",
            "raw TensorRT",
            "raw-tensorrt",
            self.varied(engine="tensorrt", device="cuda"),
        )
        bound = ("gpu-raw-onnxruntime", "raw ONNX Runtime, bound", "raw-onnxruntime", cuda)
        made += [
            self.block(
                name, title, kind, "B2.call", load, role="peer", group="gpu B2.call", claims=claims,
                subject=subject, options={"binding": True} if kind == "raw-onnxruntime" else {},
            )
            for name, title, kind, subject in (raw, bound)
        ]  # fmt: skip
        moving = self.varied(device="cuda", moving=SHARE)
        next_frame = self.block(
            "gpu-next", "stillflow on the GPU", "next", "B3.next", load, claims=claims, subject=moving
        )
        engines = self.varied(engine="tensorrt", device="cuda")
        starts = [
            self.block(
                f"gpu-cold-{cache}", f"stillflow on tensorrt, {words}", "cold", "B5.cold",
                Load("cold", queries=processes, warm_up=1), claims=asked, subject=engines, options={"cache": cache},
            )
            for cache, words, processes, asked in (
                ("kept", "engines in the cache", 10, FEW), ("empty", "engines to be built", 3, ())
            )
        ]  # fmt: skip
        return [*made, next_frame, *starts]

    def varied(self, **changes: Any) -> Subject:
        """The subject, changed in something."""
        return replace(self.subject, **changes)
