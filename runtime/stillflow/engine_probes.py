# SPDX-License-Identifier: Apache-2.0
"""What can run networks on this machine, found by running one; part of the doctor.

A missing engine is a finding and no error. What may take the whole process down with it is tried in a
process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stillflow.gpu.description import nvidia_present

if TYPE_CHECKING:
    from stillflow.sessions import EngineStatus

State = Literal["ok", "absent", "broken"]

# A network of one layer, y = relu(x) on four numbers (ONNX IR 8, opset 18): small enough to carry along,
# and enough to see whether an engine loads, runs and counts right.
TINY_NETWORK = bytes.fromhex(
    "080812003a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020804"
    "620f0a0179120a0a08080112040a02080442040a001012"
)

TENSORRT_PROBE = """
import importlib, sys
trt = importlib.import_module(sys.argv[1])
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(0)
parser = trt.OnnxParser(network, logger)
if not parser.parse(bytes.fromhex(sys.argv[2])):
    sys.exit(f"{trt.__version__} does not parse a network")
print(trt.__version__)
"""
"""Run in a process of its own: the bindings end a process that lets go of a builder or network too early."""


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        name: of the thing, as the user knows it.
        state: "ok"; "absent" (not there, and stillflow works without it); "broken" (there or needed, but
            it does not work).
        detail: the version, or the reason in plain words.
        fix: the line to type, None when there is nothing to do.
        needed: without it nothing can be animated.
    """

    name: str
    state: State
    detail: str
    fix: str | None = None
    needed: bool = False


def _tiny_input() -> Any:
    """(4,) float32 whose relu is 0, 2, 0, 4."""
    np = importlib.import_module("numpy")
    return np.array([-1, 2, -3, 4], np.float32)


def _engine_status(name: str) -> EngineStatus:
    from stillflow.sessions import engine_statuses

    return next(status for status in engine_statuses() if status.name == name)


def try_onnxruntime() -> list[Finding]:
    """Run a network on ONNX Runtime, on the CPU and where offered on CUDA."""
    status = _engine_status("onnxruntime")
    if not status.usable:
        return [Finding("ONNX Runtime", "broken", status.why, status.fix, True)]
    ort = importlib.import_module("onnxruntime")
    findings = []
    # Only these are engines of their own; the rest of the list needs a service or a vendor's toolkit.
    wanted = [
        p for p in ort.get_available_providers() if p in ("CPUExecutionProvider", "CUDAExecutionProvider")
    ]
    for provider in reversed(wanted):
        on_cpu = provider.startswith("CPU")
        name = "ONNX Runtime" if on_cpu else "ONNX Runtime on CUDA"
        try:
            options = ort.SessionOptions()
            options.log_severity_level = 4
            session = ort.InferenceSession(TINY_NETWORK, options, providers=[provider])
            result = session.run(None, {"x": _tiny_input()})[0]
            # Asked for CUDA without a driver it falls back to the CPU and says nothing: read it back.
            ran = session.get_providers()[0]
            if ran != provider or list(result) != [0, 2, 0, 4]:
                raise RuntimeError(
                    f"it fell back to {ran}" if ran != provider else f"it computed {list(result)}"
                )
            findings.append(
                Finding(name, "ok", f"{ort.__version__}, {provider} ran a network", needed=on_cpu)
            )
        except Exception as error:
            fix = reinstall("ONNX Runtime") if on_cpu else "update the NVIDIA driver, CUDA and cuDNN"
            findings.append(Finding(name, "broken", f"{ort.__version__}, {provider}: {error}", fix, on_cpu))
    if "CUDAExecutionProvider" not in wanted and nvidia_present():
        from stillflow.sessions.registry import GPU_WHEEL

        findings.append(
            Finding("ONNX Runtime on CUDA", "absent", "the installed wheel is for CPUs", GPU_WHEEL)
        )
    return findings


def try_openvino() -> Finding:
    """Run a network on OpenVINO."""
    status = _engine_status("openvino")
    if not status.usable:
        return Finding("OpenVINO", "broken" if status.version else "absent", status.why, status.fix)
    from stillflow.sessions.openvino import ov as openvino
    from stillflow.sessions.openvino import the_core

    core = the_core()
    model = core.compile_model(core.read_model(TINY_NETWORK), "CPU")
    result = next(iter(model([_tiny_input()]).values()))
    if list(result) != [0, 2, 0, 4]:
        return Finding("OpenVINO", "broken", f"it computed {list(result)}", reinstall("OpenVINO"))
    devices = " ".join(core.available_devices)
    return Finding("OpenVINO", "ok", f"{openvino.get_version()}, ran a network on CPU; devices: {devices}")


def try_tensorrt() -> list[Finding]:
    """Try TensorRT and TensorRT-RTX, each in a process of its own."""
    from stillflow.build.adapter import INSTALL, find_module

    findings = []
    for shown, library in (("TensorRT", "tensorrt"), ("TensorRT-RTX", "tensorrt_rtx")):
        module = find_module(library)
        if module is None:
            what = (
                "engines for NVIDIA GPUs"
                if library == "tensorrt"
                else "engines for RTX cards, without a GPU too"
            )
            missing = f"it is not installed; it builds {what}"
            findings.append(Finding(shown, "absent", missing, _tensorrt_line() or INSTALL[library]))
            continue
        command = [sys.executable, "-c", TENSORRT_PROBE, module, TINY_NETWORK.hex()]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if ended.returncode == 0:
            version = ended.stdout.strip()
            findings.append(Finding(shown, "ok", f"{version} parses a network"))
        else:
            said = ended.stderr.strip().splitlines()
            why = said[-1] if said else f"it ended with {ended.returncode}"
            findings.append(Finding(shown, "broken", why, reinstall(shown)))
    return findings


def _tensorrt_line() -> str | None:
    """On a Jetson, the line that installs JetPack's own TensorRT; None elsewhere."""
    if Path("/etc/nv_tegra_release").exists():
        return "sudo apt install tensorrt python3-libnvinfer   (JetPack brings it; no wheel serves a Jetson)"
    return None


def try_engine_cache() -> Finding:
    """Say where built engines are kept, and how much room they take."""
    from stillflow.build.cache import EngineCache, folder_size

    cache = EngineCache()
    place = next(p for p in (cache.root, *cache.root.parents) if p.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        why = f"{cache.root}: nothing can be kept there, {place} is no folder that this user may write to"
        return Finding("engine cache", "absent", why, "set STILLFLOW_CACHE to a folder of yours")
    if not cache.root.is_dir():
        return Finding("engine cache", "ok", f"{cache.root}, nothing in it yet")
    stored = cache.stored()
    damaged = [found for found in stored if found.entry is None]
    detail = f"{cache.root}, {len(stored)} engines, {folder_size(cache.root) / 1e6:.1f} MB"
    if damaged:
        why = f"{detail}; {len(damaged)} damaged: {damaged[0].why}"
        return Finding("engine cache", "broken", why, "stillflow cache prune")
    return Finding("engine cache", "ok", detail)


def reinstall(name: str) -> str:
    """The line that installs the wheel behind a finding again."""
    wheels = {
        "NumPy": "numpy",
        "OpenCV": "opencv-python-headless",
        "Pillow": "pillow",
        "HEIC pictures": "pillow-heif",
        "PyAV": "av",
        "ONNX Runtime": "onnxruntime",
        "OpenVINO": "openvino",
        "TensorRT": "tensorrt",
        "TensorRT-RTX": "tensorrt_rtx_cu13_libs tensorrt_rtx_cu13_bindings",
    }
    return f"pip install --force-reinstall {wheels.get(name, 'stillflow')}"
