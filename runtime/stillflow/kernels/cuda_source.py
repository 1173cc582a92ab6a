# SPDX-License-Identifier: Apache-2.0
"""The kernels in CUDA: their source, and how it is compiled for a GPU (NVRTC; no GPU is needed for that)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from stillflow.errors import StillflowError

SOURCE = Path(__file__).with_name("cuda") / "splat.cu"
"""The source; it lies in the package as data."""

BLOCK = 4
"""Channels, and pixels of a row, of one thread of sf_land; sources lie a multiple of it apart."""


def compile_kernels(architecture: str) -> bytes:
    """Compile the kernels for one GPU architecture; each is compiled once a process.

    Contraction is off and division exact, so that a GPU gives the bits of ``splat_reference``.

    Args:
        architecture: such as "sm_87".

    Returns:
        A cubin that the driver loads.

    Raises:
        StillflowError: the name is none, the compiler is not installed, or it does not know that architecture.
    """
    if not re.fullmatch(r"sm_\d{2,3}[af]?", architecture):
        raise StillflowError(
            "cannot compile the CUDA kernels",
            f"{architecture!r} is no architecture",
            "name it as sm_ and the compute capability: sm_87 for 8.7",
        )
    return _compiled(architecture)


@lru_cache(maxsize=16)
def _compiled(architecture: str) -> bytes:
    what = f"cannot compile the CUDA kernels for {architecture}"
    try:
        from cuda.core import Program, ProgramOptions
    except ImportError as error:
        raise StillflowError(
            what, str(error), "install the compiler: pip install 'stillflow[cuda]'"
        ) from error
    options = ProgramOptions(
        name=SOURCE.name, arch=architecture, std="c++17", fma=False, ftz=False, prec_div=True, prec_sqrt=True
    )
    try:
        program = Program(SOURCE.read_text(encoding="utf-8"), "c++", options)
        code = program.compile("cubin").code
    # The compiler's binding raises types of its own, which would have to be imported to be named.
    except Exception as error:
        raise StillflowError(
            what, str(error), "pip install 'stillflow[cuda]' brings a compiler that knows GPUs from sm_75 on"
        ) from error
    return bytes(code)
