# SPDX-License-Identifier: Apache-2.0
"""What every session offers, and the check of its inputs that all engines share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError

Array = npt.NDArray[Any]
Arithmetic = Literal["f32", "bf16"]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class TensorSpec:
    """Name, type and shape of one input or output, as the engine sees them.

    Attributes:
        name: as in the graph.
        dtype: NumPy's name of the type, such as "float32".
        shape: a number for a fixed dimension, a name for a free one; the same name is the same size.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Session(Protocol):
    """One graph, loaded. ``run`` may be called from several threads."""

    @property
    def engine(self) -> str:
        """Name in the registry."""
        ...

    @property
    def provider(self) -> str:
        """What really computes, read back from the engine after loading."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What ``run`` takes."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What ``run`` gives."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs.

        Args:
            inputs: one array per input, of its dtype and shape; not changed.

        Returns:
            Output name -> new array; a later call does not touch it.

        Raises:
            StillflowError: inputs missing, unknown, or of another type or shape; or the engine failed.
        """
        ...


def checked_inputs(specs: Sequence[TensorSpec], inputs: Mapping[str, Array], graph: str) -> dict[str, Array]:
    """Compare arrays with what a graph takes.

    Args:
        specs: the graph's inputs.
        inputs: arrays by name.
        graph: name for messages.

    Returns:
        The same arrays, C-contiguous.

    Raises:
        StillflowError: with the name of the first input that does not fit.
    """
    what = f"cannot run the graph {graph}"
    names = [spec.name for spec in specs]
    fix = f"give exactly the inputs {', '.join(names)}"
    for name in inputs:
        if name not in names:
            raise StillflowError(what, f"it has no input named '{name}'", fix)
    sizes: dict[str, int] = {}
    ready: dict[str, Array] = {}
    for spec in specs:
        array = inputs.get(spec.name)
        if array is None:
            raise StillflowError(what, f"the input '{spec.name}' is missing", fix)
        wanted = f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
        found = f"{array.dtype} {array.shape}"
        fits = array.dtype == np.dtype(spec.dtype) and array.ndim == len(spec.shape) and array.size > 0
        for dimension, size in zip(spec.shape, array.shape, strict=True) if fits else ():
            expected = sizes.setdefault(dimension, size) if isinstance(dimension, str) else dimension
            fits = fits and expected == size
        if not fits:
            raise StillflowError(
                what,
                f"the input '{spec.name}' is {found} and should be {wanted}",
                "give arrays of that type and shape; dimensions of one name have one size",
            )
        ready[spec.name] = np.ascontiguousarray(array)
    return ready
