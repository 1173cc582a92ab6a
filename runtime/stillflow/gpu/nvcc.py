# SPDX-License-Identifier: Apache-2.0
"""CUDA's command-line compiler, for programs that hold PyCUDA and have no cuda-core: PyCUDA's own needs it as well.

Called here and not through pycuda.compiler, which takes flags from the environment (a user's --use_fast_math would
change frames), wants a context, and keeps what it made in a folder that it does not check. Compiling takes twice as
long as NVRTC and needs a C++ compiler on the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from stillflow.errors import StillflowError

FLAGS = ("-cubin", "-std=c++17", "-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
"""The options that compiled.py gives NVRTC."""

_PATIENCE = 300
"""Seconds; the longest of our sources takes one on a desktop and ten on a busy Jetson."""


def find_nvcc() -> str | None:
    """Path of nvcc: on the PATH, in the toolkit that CUDA_HOME, CUDA_PATH or CUDA_ROOT name, or where CUDA installs."""
    roots = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT")]
    places = [str(Path(root) / "bin") for root in (*roots, "/usr/local/cuda") if root]
    return shutil.which("nvcc") or shutil.which("nvcc", path=os.pathsep.join(places))


@lru_cache(maxsize=4)
def nvcc_version(nvcc: str) -> str:
    """What a compiler says of its version, in one line; "nvcc" where it says nothing."""
    try:
        done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return "nvcc"
    return " ".join(done.stdout.split()[-12:]) or "nvcc"


def compile_by_nvcc(nvcc: str, text: str, name: str, architecture: str) -> bytes:
    """Compile a source for one GPU architecture.

    Args:
        nvcc: its path.
        text: of the source, with nothing left to include.
        name: of the source, for messages.
        architecture: such as "sm_87".

    Returns:
        A cubin that the driver loads.

    Raises:
        StillflowError: it does not compile it; the message holds what it says.
    """
    what = f"cannot compile {name} for {architecture}"
    with tempfile.TemporaryDirectory(prefix="stillflow-") as folder:
        source, made = Path(folder) / "source.cu", Path(folder) / "made.cubin"
        source.write_text(text, encoding="utf-8")
        command = [nvcc, *FLAGS, f"-arch={architecture}", "-o", str(made), str(source)]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StillflowError(
                what, str(error), "pip install 'stillflow[cuda]' brings a compiler"
            ) from error
        if done.returncode != 0 or not made.is_file():
            why = (done.stderr or done.stdout).strip()[:2000] or f"nvcc ended with {done.returncode}"
            raise StillflowError(
                what,
                why,
                "install the CUDA toolkit whole, with a C++ compiler, or pip install 'stillflow[cuda]'",
            )
        return made.read_bytes()
