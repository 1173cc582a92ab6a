# SPDX-License-Identifier: Apache-2.0
"""An imported generator of the SLR kind at 720p, everything moving: our frames against eager PyTorch's decoder.

PyTorch decodes only; our frame also throws the features and puts the result together, so the comparison flatters
PyTorch. Its float32 is timed twice: as it is said, and with the matrix units' TF32, which PyTorch uses for
convolutions where nobody forbids it.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stillflow.animator import Animator
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.layer import CudaDevice
from stillflow.guidance import Guidance
from stillflow.velocity_field import VelocityField
from stillflow_bench.gpu.engines import ON_GPUS, engines_here
from stillflow_bench.gpu.networks import PRECISIONS, building
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.random_generator import NARROW, WIDTH, random_parts, write_random_bundle
from stillflow_bench.gpu.samples import Samples, device_times, host_times, missing
from stillflow_bench.photos import of_size, sample_photos
from stillflow_bench.report import Row

PART = "imported"

SPEEDUP = 8.0
"""Times as fast as eager PyTorch in float32, with fp16 engines."""

PEAK_SHARE = 0.3
"""Of what the matrix units reach in a large product of matrices in fp16."""

MATRIX = 8192
"""Side of those matrices."""


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Play the generator on every engine, and decode with PyTorch.

    Returns:
        Rows of the part "imported".
    """
    with tempfile.TemporaryDirectory(prefix="stillflow-imported-") as folder:
        path = plan.imported
        if path is None:
            path = Path(folder) / "random.sfb"
            write_random_bundle(path, NARROW if plan.tiny else WIDTH)
        rows, eager = torch_rows(plan.about(device), plan)
        peak = matrix_peak(plan)
        _, absent = engines_here(plan.device)
        for engine in ON_GPUS:
            for precision in PRECISIONS:
                name = f"{engine} {precision}"
                try:
                    if engine in absent:
                        raise StillflowError(f"cannot use {engine}", absent[engine], "install it")
                    rows += _engine_rows(device, plan, path, engine, precision, eager, peak)
                except StillflowError as error:
                    rows += _absent_rows(name, precision, f"{error.what}: {error.why}")
    return rows


def _absent_rows(name: str, precision: str, why: str) -> list[Row]:
    half = precision == "fp16"
    said: list[tuple[str, float | None]] = [
        (
            f"frame, everything moving, {name}: times as fast as eager PyTorch in fp32",
            SPEEDUP if half else None,
        ),
        (f"decoder, {name}: share of the matrix units' peak", PEAK_SHARE if half else None),
    ]
    return [missing(PART, label, why, limit=limit, side="at least") for label, limit in said]


def _engine_rows(
    device: CudaDevice,
    plan: Plan,
    path: Path,
    engine: str,
    precision: str,
    eager: dict[str, float],
    peak: float | str,
) -> list[Row]:
    name, half = f"{engine} {precision}", precision == "fp16"
    about = {**plan.about(device), "size": plan.shown("720p"), "engine": engine, "precision": precision}
    played = frame_times(plan, path, engine, precision)
    rows = [played.row(PART, f"frame in host memory, everything moving, {name}", about)]
    for label, milliseconds in eager.items():
        ratio = played.scaled(lambda ms, m=milliseconds: m / ms, "x")  # type: ignore[misc]
        limit = SPEEDUP if half and label != "fp16" else None
        said = f"frame, everything moving, {name}: times as fast as eager PyTorch in {label}"
        rows.append(ratio.row(PART, said, about, limit=limit, side="at least"))
    if not eager:
        rows += _absent_rows(name, precision, "PyTorch has no CUDA here")[:1]
    label = f"decoder, {name}: share of the matrix units' peak"
    limit = PEAK_SHARE if half else None
    try:
        decoded, pixels = decoder_times(device, plan, path, engine, precision)
        rows.append(decoded.row(PART, f"decoder of {pixels[0]}x{pixels[1]} pixels, {name}", about))
        macs = decoder_macs(path, *pixels)
    except (StillflowError, ImportError) as error:
        return [*rows, missing(PART, label, str(error), limit=limit, side="at least")]
    if isinstance(peak, str):
        return [*rows, missing(PART, label, peak, limit=limit, side="at least")]
    share = decoded.scaled(lambda ms: 2 * macs / (ms / 1e3) / peak, "")
    told = {**about, "macs": macs, "peak_tflops": round(peak / 1e12, 1), "pixels": list(pixels)}
    return [*rows, share.row(PART, label, told, limit=limit, side="at least")]


def frame_times(plan: Plan, path: Path, engine: str, precision: str) -> Samples:
    """Milliseconds a frame of a loop in which everything moves, played to the host's memory."""
    from stillflow.player import Player

    width, height = plan.size("720p")
    photo = of_size(next(iter(sample_photos()), None), width, height)
    velocity = np.full((height // 4, width // 4, 2), (0.11, 0.23), np.float32)
    guidance = Guidance(velocity=VelocityField(velocity))
    animator = Animator(str(path), engine, precision, f"cuda:{plan.device}")
    loop = animator.animate(photo, guidance, seconds=0.4 if plan.tiny else 2.0)
    taken = []
    for _ in range(1 + max(2, plan.repeats // 6)):
        started = time.perf_counter()
        for _ in Player(loop.scene).frames(reuse=True):
            pass
        taken.append(1000 * (time.perf_counter() - started) / loop.scene.frames)
    close = getattr(loop.scene, "close", None)
    if close is not None:
        close()
    return Samples(tuple(taken[1:]), tuple(taken[:1]), "ms")


def decoder_times(
    device: CudaDevice, plan: Plan, path: Path, engine: str, precision: str
) -> tuple[Samples, tuple[int, int]]:
    """Milliseconds of the decoder alone on the device, of the whole frame or of the largest tile that its engine takes.

    Returns:
        Samples, and (width, height) of what it decoded.
    """
    from stillflow.features.networks import MOST_SIDE
    from stillflow.gpu.arrays import DeviceArray

    session: Any = Bundle.open(str(path)).session(
        "decoder", engine, precision=precision, device=f"cuda:{plan.device}", cuda=device, build=building()
    )
    whole = plan.size("720p")
    tile = (min(whole[0], MOST_SIDE), min(whole[1], MOST_SIDE))
    stream = device.stream()
    channels = int(session.inputs[0].shape[1])
    arrays = {}
    held = []
    for name, depth in (("features", channels), ("mask", 1)):
        noise = np.random.default_rng(0).random((1, depth, whole[1], whole[0]), np.float32)
        noise = np.ones_like(noise) if name == "mask" else noise - np.float32(0.5)
        held.append(device.allocate(noise.nbytes))
        device.upload(noise, held[-1].address, stream)
        arrays[name] = (held[-1].address, depth)
    stream.synchronize()
    try:
        for width, height in dict.fromkeys((whole, tile)):
            given = {
                name: DeviceArray(address, (1, depth, height, width), np.dtype(np.float32), device.index)
                for name, (address, depth) in arrays.items()
            }

            def decode(_: int, given: dict[str, DeviceArray] = given) -> None:
                session.run_on(given, stream)

            with suppress(StillflowError):
                decode(0)
                stream.synchronize()
                return device_times(device, stream, decode, plan.repeats, plan.warm_up), (width, height)
        raise StillflowError(
            f"cannot decode with {engine}", f"its engine takes neither {whole} nor {tile}", "build it"
        )
    finally:
        stream.synchronize()
        session.close()
        for memory in held:
            memory.close()
        stream.close()


def decoder_macs(path: Path, width: int, height: int) -> int:
    """Multiply-accumulates of the decoder at a size.

    Raises:
        ImportError: the ONNX tools are not installed.
    """
    from stillflow_export.macs import graph_cost

    data = Bundle.open(str(path)).graph_bytes("decoder", "fp32")
    return graph_cost(data, {"height": height, "width": width}, "decoder").macs


def torch_rows(
    about: Mapping[str, Any], plan: Plan, place: str | None = None
) -> tuple[list[Row], dict[str, float]]:
    """Decode with eager PyTorch on the same GPU.

    Args:
        about: parameters of the rows.
        plan: how often, and at which size.
        place: where PyTorch computes; None: on the plan's GPU.

    Returns:
        Rows, and kind of arithmetic -> median milliseconds; none where PyTorch cannot.
    """
    name = "eager PyTorch's decoder"
    why = no_torch()
    if why:
        return [missing(PART, name, why)], {}
    import torch

    place = place or f"cuda:{plan.device}"
    channels = 2 * (NARROW if plan.tiny else WIDTH)
    decoder = random_parts(channels // 2)["decoder"].to(place)
    width, height = plan.size("720p")
    told = {**about, "size": plan.shown("720p"), "torch": torch.__version__}
    rows, found = [], {}
    for label, tf32, kind in (
        ("fp32", False, torch.float32),
        ("fp32 with TF32", True, torch.float32),
        ("fp16", True, torch.float16),
    ):
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cuda.matmul.allow_tf32 = tf32
        decoder = decoder.to(kind)
        given = [torch.ones((1, n, height, width), dtype=kind, device=place) for n in (channels, 1)]
        given[0].normal_()
        taken = torch_times(partial(decoder, *given), plan, place)
        found[label] = sorted(taken.values)[len(taken.values) // 2]
        rows.append(taken.row(PART, f"{name}, {label}", told))
    return rows, found


def no_torch() -> str:
    """Why PyTorch cannot be timed here, "" where it can."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    import torch

    return "" if torch.cuda.is_available() else f"PyTorch {torch.__version__} has no CUDA here"


def torch_times(work: Callable[[], Any], plan: Plan, place: str) -> Samples:
    """Milliseconds of eager work: on a GPU by PyTorch's own events, else by the host's clock."""
    import torch

    taken = []
    with torch.inference_mode():
        if not place.startswith("cuda"):
            return host_times(work, plan.repeats, plan.warm_up)
        for _ in range(plan.warm_up + plan.repeats):
            event: Any = torch.cuda.Event
            start, end = event(enable_timing=True), event(enable_timing=True)
            start.record()
            work()
            end.record()
            end.synchronize()
            taken.append(float(start.elapsed_time(end)))
    return Samples(tuple(taken[plan.warm_up :]), tuple(taken[: plan.warm_up]), "ms")


def matrix_peak(plan: Plan, place: str | None = None) -> float | str:
    """FLOP/s of a large product of matrices in fp16, measured with PyTorch; or why that is not known."""
    why = no_torch()
    if why:
        return why
    import torch

    place = place or f"cuda:{plan.device}"
    side = 256 if plan.tiny else MATRIX
    a, b = (torch.randn((side, side), device=place).to(torch.float16) for _ in range(2))
    taken = torch_times(lambda: a @ b, plan, place)
    return float(2 * side**3 / (min(taken.values) / 1e3))
