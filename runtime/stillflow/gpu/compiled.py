# SPDX-License-Identifier: Apache-2.0
"""CUDA sources compiled for a GPU by NVRTC; no GPU is needed for that."""

from __future__ import annotations

import re
from pathlib import Path

from stillflow.errors import StillflowError


def compile_source(source: Path, architecture: str) -> bytes:
    """Compile a CUDA source for one GPU architecture.

    Contraction is off and division exact, so that a GPU gives the bits of the references in NumPy.

    Args:
        source: the file.
        architecture: such as "sm_87".

    Returns:
        A cubin that the driver loads.

    Raises:
        StillflowError: the name is none, the compiler is not installed, or it does not know that architecture.
    """
    what = f"cannot compile {source.name} for {architecture}"
    if not re.fullmatch(r"sm_\d{2,3}[af]?", architecture):
        raise StillflowError(
            what,
            f"{architecture!r} is no architecture",
            "name it as sm_ and the compute capability: sm_87 for 8.7",
        )
    try:
        from cuda.core import Program, ProgramOptions
    except ImportError as error:
        raise StillflowError(
            what, str(error), "install the compiler: pip install 'stillflow[cuda]'"
        ) from error
    options = ProgramOptions(
        name=source.name, arch=architecture, std="c++17", fma=False, ftz=False, prec_div=True, prec_sqrt=True
    )
    try:
        program = Program(source.read_text(encoding="utf-8"), "c++", options)
        code = program.compile("cubin").code
    # The compiler's binding raises types of its own, which would have to be imported to be named.
    except Exception as error:
        raise StillflowError(
            what, str(error), "pip install 'stillflow[cuda]' brings a compiler that knows GPUs from sm_75 on"
        ) from error
    return bytes(code)
