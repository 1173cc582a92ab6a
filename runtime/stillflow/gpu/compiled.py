# SPDX-License-Identifier: Apache-2.0
"""CUDA sources compiled for a GPU by NVRTC, which needs no GPU, and kept on the disk; by nvcc without cuda-core.

What is kept is code that a GPU runs. As with engines, it is read only where nobody but this user can have written it,
and only if it is the bytes that were written; anything else is compiled again. A cache that cannot be used costs the
second that compiling takes, and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from stillflow.build.cache import cache_root
from stillflow.build.files import UnsafeError, private_folder, read_trusted, replace_private, trusted_folder
from stillflow.errors import StillflowError
from stillflow.gpu.nvcc import compile_by_nvcc, find_nvcc, nvcc_version

_OPTIONS: dict[str, object] = {
    "std": "c++17",
    # No contraction and exact division: a GPU gives the bits of the references in NumPy.
    "fma": False,
    "ftz": False,
    "prec_div": True,
    "prec_sqrt": True,
}

_LARGEST = 64 << 20
"""Bytes of a cubin that is read; the largest of ours has 0.1 MiB."""

_DIGEST = 32
"""Bytes of SHA-256 before the code."""

log = logging.getLogger(__name__)


def cubin_of(source: Path, architecture: str) -> bytes:
    """Return a source compiled for a GPU architecture, from the cache or into it.

    For a GPU that is newer than the compiler it is PTX, which the driver translates when it loads it.

    Args:
        source: the file.
        architecture: such as "sm_87".

    Returns:
        A cubin, or PTX, that the driver loads.

    Raises:
        StillflowError: see `compile_source`.
    """
    text = source_text(source)
    said = [architecture, compiler_version(), repr(sorted(_OPTIONS.items())), source.name, text]
    key = hashlib.sha256("\0".join(said).encode()).hexdigest()
    try:
        folder = cache_root() / "kernels"
    except StillflowError as error:
        log.warning("compiled kernels are not kept: %s", error.why)
        return compile_source(source, known_architecture(architecture))
    code = _kept(folder, key)
    if code is None:
        code = compile_source(source, known_architecture(architecture))
        _keep(folder, key, code)
    return code


def _kept(folder: Path, key: str) -> bytes | None:
    name = f"{key}.cubin"
    try:
        with trusted_folder(folder) as descriptor:
            os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            data = read_trusted(name, descriptor, _LARGEST)
    except FileNotFoundError:
        return None
    except (UnsafeError, OSError) as error:
        log.warning("compiled kernels in %s are not used: %s", folder, error)
        return None
    if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]:
        return data[_DIGEST:]
    log.warning("compiled kernels in %s are damaged and made again", folder / name)
    return None


def _keep(folder: Path, key: str, code: bytes) -> None:
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_private(private_folder(folder) / f"{key}.cubin", hashlib.sha256(code).digest() + code)
    except (OSError, StillflowError) as error:
        log.warning("compiled kernels are not kept: %s", error)


def known_architecture(architecture: str) -> str:
    """The architecture, where the compiler knows it or none before it; else that of PTX for the last before it."""
    numbers, number = _known_numbers(), _number(architecture)
    before = [known for known in numbers if known < number]
    return architecture if number in numbers or not before else f"compute_{max(before)}"


def too_old(architecture: str) -> str:
    """Why an architecture is too old for the compiler, in words; "" where it is not, or there is no compiler."""
    # No compiler so far leaves out 8.0, and the question loads it, which takes 0.02 s or more.
    oldest = 0 if _number(architecture) >= 80 else min(_known_numbers(), default=0)
    if _number(architecture) >= oldest:
        return ""
    return f"{compiler_version()} compiles for compute capability {oldest // 10}.{oldest % 10} and newer"


def _known_numbers() -> list[int]:
    """Architectures that NVRTC compiles for, such as 87; none where it is not, then compiling says so in words."""
    try:
        from cuda.bindings import nvrtc

        status, numbers = nvrtc.nvrtcGetSupportedArchs()
    # The bindings raise types of their own where the library is not found.
    except Exception:
        return []
    return [] if status else list(numbers)


def _number(architecture: str) -> int:
    return int(re.sub(r"\D", "", architecture) or 0)


def compiler_version() -> str:
    """Version of NVRTC: of its package, which takes no library to ask, or what the library says; or that of nvcc."""
    try:
        metadata.version("cuda-core")
    except metadata.PackageNotFoundError:
        nvcc = find_nvcc()
        return "none" if nvcc is None else nvcc_version(nvcc)
    for name in ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu13", "nvidia-cuda-nvrtc-cu12"):
        with suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    try:
        from cuda.bindings import nvrtc

        return f"nvrtc {nvrtc.nvrtcVersion()[1:]}"
    # The bindings raise types of their own where the library is not found; compiling says so in words.
    except Exception:
        return "none"


def source_text(source: Path) -> str:
    """Return a source with the files of its own folder that it includes in their places, each once."""
    seen: set[str] = set()

    def whole(path: Path) -> str:
        lines = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = re.fullmatch(r'\s*#include "([\w.]+)".*', line)
            if found is None:
                lines.append(line)
            elif found[1] not in seen:
                seen.add(found[1])
                inner = whole(path.with_name(found[1]))
                lines.append(f'#line 1 "{found[1]}"\n{inner}#line {number + 1} "{path.name}"')
            else:
                lines.append("")
        return "\n".join(lines) + "\n"

    return whole(source)


def compile_source(source: Path, architecture: str) -> bytes:
    """Compile a CUDA source for one GPU architecture, without the cache.

    Args:
        source: the file.
        architecture: such as "sm_87", or "compute_87" for PTX.

    Returns:
        A cubin that the driver loads, or PTX.

    Raises:
        StillflowError: the name is none, the compiler is not installed, it does not know that architecture, or the
            source is not valid.
    """
    what = f"cannot compile {source.name} for {architecture}"
    if not re.fullmatch(r"(sm_\d{2,3}[af]?|compute_\d{2,3})", architecture):
        raise StillflowError(
            what,
            f"{architecture!r} is no architecture",
            "name it as sm_ and the compute capability: sm_87 for 8.7",
        )
    try:
        from cuda.core import Program, ProgramOptions
    except ImportError as error:
        nvcc = find_nvcc()
        if nvcc is not None:
            return compile_by_nvcc(nvcc, source_text(source), source.name, architecture)
        raise StillflowError(
            what, str(error), "install the compiler: pip install 'stillflow[cuda]'"
        ) from error
    try:
        options = ProgramOptions(name=source.name, arch=architecture, **_OPTIONS)
        kind = "cubin" if architecture.startswith("sm_") else "ptx"
        code = bytes(Program(source_text(source), "c++", options).compile(kind).code)
    # The compiler's binding raises types of its own, which would have to be imported to be named.
    except Exception as error:
        # What the compiler logs ends in a 0 of C.
        why = too_old(architecture) or str(error).replace("\0", "").strip()
        fix = "pip install 'stillflow[cuda]' brings a compiler that knows GPUs from sm_75 on; or say --device cpu"
        raise StillflowError(what, why, fix) from error
    # PTX is a text, which the driver reads up to its 0.
    return code if kind == "cubin" else code.rstrip(b"\0") + b"\0"
