# SPDX-License-Identifier: Apache-2.0
"""What every session offers, and the checks of names, types, shapes and devices that all engines share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError

if TYPE_CHECKING:
    from stillflow.gpu.arrays import DeviceArray
    from stillflow.gpu.layer import CudaDevice, Stream

Array = npt.NDArray[Any]
Arithmetic = Literal["f32", "bf16", "tf32"]
Device = str
"""Where a graph runs: "cpu", "cuda" (the first GPU), "cuda:N" as CUDA counts them, or "auto"."""

AUTO = "auto"
"""The GPU for engines that run nowhere else, the CPU for all others."""

_CUDA = re.compile(r"cuda(?::([0-9]{1,3}))?\Z")


class NoEngineError(StillflowError):
    """There is no engine of a graph that may be loaded here.

    Attributes:
        worth_building: a build may help: what is there is not one that failed gate C on this machine.
    """

    worth_building = True


@dataclass(frozen=True)
class TensorSpec:
    """Name, type and shape of one input or output, as the engine sees them.

    Attributes:
        name: as in the graph.
        dtype: NumPy's name of the type, such as "float32".
        shape: a number for a fixed dimension, a name for a free one; the same name is the same size.
        largest: of an input, the largest shape that an engine was built for; None: any.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    largest: tuple[int, ...] | None = None


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
    def fallback(self) -> str:
        """What does not run where it was asked to, and why; "" when everything does."""
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

    def close(self) -> None:
        """Give back what it holds, after the last ``run`` has returned; harmless twice. Being let go does it too."""
        ...


@runtime_checkable
class DeviceSession(Session, Protocol):
    """A session on a GPU, which takes and gives arrays that lie there.

    ``run_on`` only puts work into a stream and returns. To each stream belongs a lane: memory for intermediate values
    and for the results. So the rule is: **what ``run_on`` returns stays as it is until ``run_on`` is called again with
    the same stream**; work that is put into that stream before the next call still finds it, whoever waits for what.
    What has to live longer is copied. Streams do not disturb each other. A session is closed, or let go, when the work
    is done that was put into streams: its memory is used for other things at once.
    """

    @property
    def cuda(self) -> CudaDevice:
        """The device that everything runs on."""
        ...

    def run_on(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """Compute all outputs from device memory into device memory, in order of a stream.

        Args:
            inputs: one C-contiguous array per input, of its dtype and shape, ready in order of the stream; they stay
                as they are until the stream has done the work.
            stream: that orders it; one thread at a time may use it.

        Returns:
            Output name -> array, ready in order of the stream; see the rule above.

        Raises:
            OutOfMemoryError: the device has no memory left for another stream's lane.
            StillflowError: inputs that do not fit, or the engine failed.
        """
        ...

    def release(self, stream: Stream) -> None:
        """Give back the memory that ``run_on`` holds for a stream, once its work is done; before it is closed."""
        ...


def cuda_index(device: str) -> int | None:
    """Which GPU a device means: 1 for "cuda:1", 0 for "cuda"; None for "cpu".

    Raises:
        StillflowError: it is neither.
    """
    if device == "cpu":
        return None
    found = _CUDA.match(device)
    if found is None:
        raise StillflowError(
            f"cannot use the device '{device}'",
            "there is no such device",
            "use auto, cpu, cuda, or cuda:1 for the second GPU",
        )
    return int(found[1] or 0)


class _Shaped(Protocol):
    """What an array of NumPy and one on a device have in common."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


AnyShaped = TypeVar("AnyShaped", bound=_Shaped)


def checked_inputs(specs: Sequence[TensorSpec], inputs: Mapping[str, Array], graph: str) -> dict[str, Array]:
    """Compare arrays with what a graph takes; see `fitting`.

    Returns:
        The same arrays, C-contiguous.
    """
    ready = fitting(specs, inputs, graph)
    return {name: np.ascontiguousarray(array) for name, array in ready.items()}


def fitting(specs: Sequence[TensorSpec], inputs: Mapping[str, AnyShaped], graph: str) -> dict[str, AnyShaped]:
    """Compare arrays, wherever they lie, with what a graph takes.

    Args:
        specs: the graph's inputs.
        inputs: arrays by name.
        graph: name for messages.

    Returns:
        The arrays in the order of the graph.

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
    ready: dict[str, AnyShaped] = {}
    for spec in specs:
        array = inputs.get(spec.name)
        if array is None:
            raise StillflowError(what, f"the input '{spec.name}' is missing", fix)
        fits = (
            array.dtype == np.dtype(spec.dtype)
            and len(array.shape) == len(spec.shape)
            and 0 not in array.shape
        )
        for dimension, size in zip(spec.shape, array.shape, strict=True) if fits else ():
            expected = sizes.setdefault(dimension, size) if isinstance(dimension, str) else dimension
            fits = fits and expected == size
        if not fits:
            wanted = f"{spec.dtype} ({', '.join(map(str, spec.shape))})"
            raise StillflowError(
                what,
                f"the input '{spec.name}' is {array.dtype} {array.shape} and should be {wanted}",
                "give arrays of that type and shape; dimensions of one name have one size",
            )
        ready[spec.name] = array
    return ready
