# SPDX-License-Identifier: Apache-2.0
"""What has to be known of a machine and a bundle before a device, an engine and a precision are chosen: types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from stillflow.gpu.description import Gpu


@dataclass(frozen=True)
class Trouble:
    """Why something cannot be used here.

    Attributes:
        why: in plain words.
        fix: the line that puts it right.
        notable: somebody who did not ask should hear of it, such as of a GPU that lies idle.
    """

    why: str
    fix: str
    notable: bool = True


@dataclass(frozen=True)
class Built:
    """What the cache has for one graph at one precision, by one library.

    Attributes:
        state: "fits"; "foreign" (another version, GPU or driver); "failed" (gate C); "none".
        why: in plain words; for "fits" what gate C said.
    """

    state: Literal["fits", "foreign", "failed", "none"] = "none"
    why: str = "there is no engine of it in the cache"


class Facts(Protocol):
    """What is the case on a machine, for one bundle. Asked for one by one, since some take a while to find out."""

    @property
    def bundle(self) -> str:
        """As `stillflow build` takes it."""

    @property
    def held(self) -> Mapping[str, tuple[str, ...]]:
        """Graph that will be run -> precisions that the bundle has it at."""

    @property
    def default_precision(self) -> str:
        """The bundle's own."""

    @property
    def decodes(self) -> bool:
        """A network makes every frame; otherwise geometry does."""

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """As the driver counts them; empty where there is no driver or no GPU."""

    @property
    def no_gpu(self) -> Trouble:
        """Why there are none."""

    @property
    def cpu_engine(self) -> str:
        """What runs networks on the CPU when nothing is said."""

    def kernels(self, index: int) -> Trouble | None:
        """Why the kernels cannot run on a GPU; None: they can."""

    def package(self, engine: str) -> Trouble | None:
        """Why an engine's package cannot be used; None: it can."""

    def builder(self, engine: str, index: int) -> Trouble | None:
        """Why engines for a GPU cannot be built here; None: they can."""

    def onnxruntime_cuda(self) -> Trouble | None:
        """Why ONNX Runtime does not run on CUDA; None: its wheel offers it."""

    def judged(self, graph: str, precision: str) -> bool:
        """Whether the bundle's receipts say that a precision passed its gates (B), or needs none."""

    def engine(self, library: str, graph: str, precision: str, index: int) -> Built:
        """What the cache has."""
