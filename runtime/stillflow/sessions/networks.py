# SPDX-License-Identifier: Apache-2.0
"""A bundle's networks where they were chosen to run: loaded once whoever asks, and what came of it told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from stillflow.errors import StillflowError
from stillflow.gpu.trouble import LostDeviceError
from stillflow.sessions.choice import Choice, decide
from stillflow.sessions.machine import Machine
from stillflow.sessions.session import DeviceSession, Session, cuda_index
from stillflow.sessions.wish import TENSORRT, Wish

if TYPE_CHECKING:
    from stillflow.build.builder import Orders
    from stillflow.bundle.bundle import Bundle
    from stillflow.gpu.layer import CudaDevice

log = logging.getLogger(__name__)

T = TypeVar("T")


class Networks:
    """Sessions of a bundle. May be used from several threads at once.

    Nothing is chosen or loaded before it is needed.

    Args:
        bundle: that holds the networks.
        wish: what was asked for.
        building: says how an engine is built that was asked for and is not there; None: without a word but in the log.

    Attributes:
        sessions: those that are loaded, by the graph's name.
    """

    def __init__(self, bundle: Bundle, wish: Wish, building: Callable[[], Orders] | None = None) -> None:
        self._bundle = bundle
        self._wish = wish
        self._building = building
        self._machine = Machine(bundle)
        self._lock = threading.RLock()
        self._choice: Choice | None = None
        self._told: dict[str, None] = {}
        self._taken: dict[str, Choice] = {}
        self.sessions: dict[str, Session] = {}

    @property
    def choice(self) -> Choice:
        """What was chosen, at the first call.

        Raises:
            StillflowError: what was asked for is not here.
        """
        with self._lock:
            if self._choice is None:
                self._choice = decide(self._wish, self._machine)
                self._told.update(dict.fromkeys(self._choice.warnings))
                log.info("%s", self._choice)
            return self._choice

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as asked, or not as fast as it could be; grows while networks are loaded."""
        with self._lock:
            return tuple(self._told)

    @property
    def device(self) -> CudaDevice | None:
        """The GPU that frames are made on, open; None: they are made on the CPU."""
        choice = self.choice
        return self._opened(choice.frames)

    def _opened(self, device: str) -> CudaDevice | None:
        """A GPU of a choice, which opened it; None for the CPU."""
        index = cuda_index(device)
        return None if index is None else self._machine.devices[index]

    def session(self, graph: str) -> Session:
        """Return a network, loading it at the first call.

        Raises:
            StillflowError: it does not load where it was asked to.
        """
        with self._lock:
            if graph not in self.sessions:
                self.sessions[graph] = self.load(graph)
            return self.sessions[graph]

    def load(self, graph: str) -> Session:
        """Load a network anew; ``session`` keeps what this returns."""
        errors: list[StillflowError] = []
        for way in self._ways():
            try:
                session = self._open(graph, way)
            except LostDeviceError:
                raise  # the frames' GPU too
            except StillflowError as error:
                if way.device == "cpu" or not way.open:
                    raise
                log.info("%s does not load on %s: %s", graph, way.engine, error)
                errors.append(error)
                continue
            if errors:
                where = f"{way.engine} on {'the CPU' if way.device == 'cpu' else way.device}"
                self._told[_warning(f"{graph} runs on {where}", errors[0])] = None
            self._taken[graph] = way
            if session.fallback:
                self._told[f"{graph}: {session.fallback}"] = None
            return session
        raise AssertionError("the CPU is the last way, and its error is raised")

    def _ways(self) -> Iterator[Choice]:
        """The choice; where that is open, ONNX Runtime on the same GPU and then the CPU."""
        yield self.choice
        if self.choice.device == "cpu":
            return
        if self.choice.engine != "onnxruntime":
            wish = Wish(self.choice.device, "onnxruntime", self._wish.precision, allow_fallback=True)
            other = replace(decide(wish, self._machine), allow_fallback=self._wish.allow_fallback)
            if other.device == self.choice.device:
                yield other
        yield decide(Wish("cpu", "auto", self._wish.precision), self._machine)

    def _open(self, graph: str, way: Choice) -> Session:
        asked = None if self._wish.precision == "auto" else self._wish.precision
        return self._bundle.session(
            graph,
            way.engine,
            precision=way.precisions.get(graph, asked),
            device=way.device,
            allow_fallback=way.allow_fallback,
            cuda=self._opened(way.device),
            build=self._orders if self._wish.engine in TENSORRT else None,
        )

    @property
    def _orders(self) -> Orders:
        if self._building is not None:
            return self._building()
        from stillflow.build.builder import Orders

        return Orders(say=lambda line: log.info("%s", line))

    def close(self) -> None:
        """Let all sessions go; harmless twice. What is asked for afterwards is loaded anew.

        Each is closed when nobody holds it any longer: a loop whose frames it makes does, and a CUDA graph that was
        recorded of it would not find out that its memory is gone.
        """
        with self._lock:
            self.sessions.clear()
            self._taken.clear()
            # What was told of those that were loaded is over; what was chosen holds on.
            self._told = dict.fromkeys(() if self._choice is None else self._choice.warnings)

    def on_gpu(self, make: Callable[[CudaDevice], T], told: list[str]) -> T | None:
        """Make what plays frames on the GPU that was chosen for them; None: the CPU does it, as chosen or as told.

        Args:
            make: is given the open device.
            told: a warning is added, where the CPU does it unchosen.

        Raises:
            StillflowError: it cannot be made, and a GPU was asked for.
        """
        device = self.device
        if device is None:
            return None
        try:
            return make(device)
        except LostDeviceError:
            raise
        except StillflowError as error:
            if not self.choice.open:
                raise
            told.append(_warning("frames are made on the CPU", error))
            return None

    def on_device(self, graphs: Iterable[str], device: CudaDevice) -> dict[str, DeviceSession]:
        """Return networks that take and give arrays on a device.

        Raises:
            StillflowError: one does not load, or does not run there.
        """
        found: dict[str, DeviceSession] = {}
        for graph in graphs:
            session = self.session(graph)
            if not isinstance(session, DeviceSession) or session.cuda is not device:
                where = f"{session.engine} ({session.provider})"
                fix = "see the other warnings, and `stillflow doctor`"
                raise StillflowError(f"cannot use {graph} on GPU {device.index}", f"it runs on {where}", fix)
            found[graph] = session
        return found

    def ran(self, painter: str | None = None, told: Iterable[str] = ()) -> dict[str, str]:
        """Say what runs, as texts: engine, provider, device, precision, frames, why; and fallback where there was one.

        Args:
            painter: what makes the frames, where it is not what was chosen.
            told: warnings about these frames.
        """
        choice = self.choice
        with self._lock:
            loaded, taken = dict(self.sessions), dict(self._taken)
            fallen = [line for line in (*self._told, *told) if line not in choice.warnings]
        ways = {graph: taken.get(graph, choice) for graph in loaded or choice.precisions}
        # ONNX Runtime may have gone to the CPU by itself, where that is allowed.
        on_cpu = {graph for graph, session in loaded.items() if not hasattr(session, "cuda")}
        places = {graph: "cpu" if graph in on_cpu else way.place for graph, way in ways.items()}
        found = {
            "engine": _each({graph: session.engine for graph, session in loaded.items()}) or choice.engine,
            "provider": _each({graph: session.provider for graph, session in loaded.items()}),
            "device": _each(places),
            "precision": _each({graph: way.precisions.get(graph, "") for graph, way in ways.items()}),
            "frames": painter or choice.painter,
            "why": "; ".join(choice.why),
        }
        return found | ({"fallback": "; ".join(fallen)} if fallen else {})


def _warning(what: str, error: StillflowError) -> str:
    """What is not as chosen, and why."""
    return f"{what}: {error.what}: {error.why}; to change it: {error.fix}"


def _each(values: dict[str, str]) -> str:
    """One word where it is the same for all, else each graph's."""
    if len(set(values.values())) <= 1:
        return next(iter(values.values()), "")
    return ", ".join(f"{graph}: {value}" for graph, value in values.items())
