# SPDX-License-Identifier: Apache-2.0
"""What this machine can run, found by really trying: encoders encode, engines run a network.

Nothing here raises for a missing part: whatever goes wrong becomes a finding with the line that fixes it.
"""

from __future__ import annotations

import importlib
import io
import os
import platform
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from stillflow.engine_probes import (
    Finding,
    reinstall,
    try_engine_cache,
    try_onnxruntime,
    try_openvino,
    try_tensorrt,
)
from stillflow.gpu_probes import try_choice, try_driver, try_gpus, try_nvenc

ENCODERS = (
    ("H.264", "libx264", "mp4", "yuv420p", "mp4"),
    ("VP9 with alpha", "libvpx-vp9", "webm", "yuva420p", "webm"),
    ("WebP", "libwebp_anim", "webp", "yuva420p", "webp"),
    ("GIF", "gif", "gif", "rgb8", "gif"),
    ("APNG", "apng", "apng", "rgb24", "apng"),
)
"""What is shown, codec, container, pixel format, the output format of stillflow it serves."""


def examine() -> list[Finding]:
    """Try everything, in the order a photo needs it.

    Returns:
        The findings; nothing is raised.
    """
    checks: tuple[tuple[str, bool, Callable[[], Finding | list[Finding]]], ...] = (
        ("Python", True, _python),
        ("processor", False, _processor),
        ("memory", False, _memory),
        ("NumPy", True, _numpy),
        ("OpenCV", True, _opencv),
        ("Pillow", True, _pillow),
        ("HEIC pictures", False, _heif),
        ("kernels", True, _kernels),
        ("PyAV", True, _encoders),
        ("ONNX Runtime", True, try_onnxruntime),
        ("OpenVINO", False, try_openvino),
        ("NVIDIA driver", False, try_driver),
        ("GPU", False, try_gpus),
        ("video: NVENC", False, try_nvenc),
        ("TensorRT", False, try_tensorrt),
        ("engine cache", False, try_engine_cache),
        ("default bundle", True, _default_bundle),
        ("choice", False, try_choice),
    )
    findings: list[Finding] = []
    for name, needed, check in checks:
        try:
            found = check()
        except Exception as error:  # a broken install may throw anything; that is the finding
            found = Finding(name, "broken", f"{type(error).__name__}: {error}", reinstall(name), needed)
        findings.extend(found if isinstance(found, list) else [found])
    return findings


def healthy(findings: list[Finding]) -> bool:
    """Whether everything that animating needs is in order."""
    return not any(finding.needed and finding.state != "ok" for finding in findings)


def _python() -> Finding:
    # An older Python than 3.10 cannot even import this file, and pip refuses to install it there.
    where = f"{platform.system()} {platform.machine()}"
    return Finding("Python", "ok", f"{platform.python_version()} on {where}, {sys.executable}", needed=True)


def _processor() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    name, flags = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = value
    known = [
        flag for flag in ("sse4_1", "avx2", "avx512f", "avx512_bf16", "asimd", "sve") if flag in flags.split()
    ]
    quota = _core_quota()
    cores = f"{usable} core{'s' if usable != 1 else ''}"
    if quota is not None and quota < usable:
        cores += f", limited to {quota:g} by the container"
    return Finding("processor", "ok", "; ".join(part for part in (name, cores, " ".join(known)) if part))


def _core_quota() -> float | None:
    """Cores that the control group lets this process use, None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _memory() -> Finding:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) / 2**20
    except (OSError, ValueError, KeyError):
        return Finding("memory", "ok", "unknown on this system")
    if free < 1:
        return Finding(
            "memory",
            "broken",
            f"{free:.1f} GiB free; a 720p loop needs 0.7",
            "close other programs, or use --size 640",
        )
    return Finding("memory", "ok", f"{free:.1f} GiB free")


def _numpy() -> Finding:
    np = importlib.import_module("numpy")
    if list(np.arange(3) + 1) != [1, 2, 3]:
        return Finding("NumPy", "broken", f"{np.__version__} does not count right", reinstall("NumPy"), True)
    return Finding("NumPy", "ok", np.__version__, needed=True)


def _opencv() -> Finding:
    np, cv2 = importlib.import_module("numpy"), importlib.import_module("cv2")
    cv2.resize(np.zeros((8, 8, 3), np.uint8), (4, 4), interpolation=cv2.INTER_AREA)
    return Finding("OpenCV", "ok", str(cv2.__version__), needed=True)


def _pillow() -> Finding:
    image, able = (
        importlib.import_module("PIL.Image"),
        importlib.import_module("PIL.features").get_supported(),
    )
    parts = {
        "jpg": "JPEG",
        "zlib": "PNG",
        "webp": "WebP",
        "libtiff": "TIFF",
        "avif": "AVIF",
        "littlecms2": "profiles",
    }
    there = [name for key, name in parts.items() if key in able]
    gone = [name for key, name in parts.items() if key not in able]
    buffer = io.BytesIO()
    image.new("RGB", (16, 16), (1, 2, 3)).save(buffer, "PNG")
    image.open(buffer).load()
    detail = f"{importlib.import_module('PIL').__version__} reads {', '.join(there)}" + (
        f"; cannot: {', '.join(gone)}" if gone else ""
    )
    return Finding("Pillow", "ok", detail, "pip install --upgrade pillow" if gone else None, True)


def _heif() -> Finding:
    try:
        module = importlib.import_module("pillow_heif")
    except ImportError:
        return Finding(
            "HEIC pictures", "absent", "no reader for them is installed", "pip install pillow-heif"
        )
    return Finding("HEIC pictures", "ok", f"pillow-heif {module.__version__}")


def _kernels() -> Finding:
    from stillflow.errors import StillflowError

    native = importlib.import_module("stillflow.kernels.native")
    try:
        best = native.best_isa()
    except StillflowError as error:
        return Finding("kernels", "broken", f"{error.what}: {error.why}", error.fix, True)
    return Finding("kernels", "ok", f"native, {best.name.lower().replace('_', ' ')}", needed=True)


def _encoders() -> list[Finding]:
    av = importlib.import_module("av")
    findings = [Finding("PyAV", "ok", f"{av.__version__}", needed=True)]
    for shown, codec, container, pixel_format, served in ENCODERS:
        try:
            size = _encode_two_frames(av, codec, container, pixel_format)
            findings.append(
                Finding(f"video: {shown}", "ok", f"{codec} writes .{served} ({size} bytes tried)")
            )
        except Exception as error:  # PyAV raises its own kinds; the reason is what matters
            findings.append(
                Finding(
                    f"video: {shown}",
                    "absent",
                    f"{codec} does not work, so no .{served}: {error}",
                    "pip install --upgrade --force-reinstall av",
                )
            )
    return findings


def _encode_two_frames(av: Any, codec: str, container: str, pixel_format: str) -> int:
    np, buffer = importlib.import_module("numpy"), io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixel_format
        for value in (60, 180):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), value, np.uint8), format="rgb24")
            for packet in stream.encode(frame.reformat(format=pixel_format)):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return len(buffer.getvalue())


def _default_bundle() -> Finding:
    from stillflow.bundle import Bundle
    from stillflow.errors import StillflowError

    try:
        bundle = Bundle.open(None)
        checks = bundle.verify()
    except StillflowError as error:
        return Finding("default bundle", "broken", f"{error.what}: {error.why}", error.fix, True)
    failed = [check for check in checks if not check.ok]
    if failed:
        names = ", ".join(check.name for check in failed)
        return Finding("default bundle", "broken", f"it fails: {names}", reinstall("stillflow"), True)
    detail = f"{bundle.manifest.name}, {len(checks)} checks passed"
    return Finding("default bundle", "ok", detail, needed=True)
