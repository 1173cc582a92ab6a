# SPDX-License-Identifier: Apache-2.0
"""Looks at the machine while it is measured: one before, one after, and two a second in between, from a thread.

The thread lives in the run's process, which measures nothing itself. What it costs is counted (``Telemetry.cost``) and
is kept in the record: 0.2 % of a core in the quick plan and 0.4 % in the standard one, whose groups have up to nine
workers to be looked up (two busy cores).
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

import msgspec

from stillflow_bench.latency.gpu_readings import GpuReader
from stillflow_bench.latency.host_readings import ROOT, HostReader, own_processes
from stillflow_bench.latency.record import Look

INTERVAL = 0.5
"""Seconds between looks."""


class Observer:
    """Takes looks.

    Args:
        origin: nanoseconds of the host's monotonic clock that looks count from.
        gpu: index of the GPU that is looked at, where there is one.
        root: folder that /proc and /sys lie in.
    """

    def __init__(self, origin: int, gpu: int = 0, root: Path = ROOT) -> None:
        self._origin = origin
        self._root = root
        self._host = HostReader(root)
        self._gpu = GpuReader(gpu)

    def look(self, *, thorough: bool = False) -> Look:
        """Look at the machine once; nothing is raised.

        Args:
            thorough: also start programs that take up to a second, where a GPU tells nothing otherwise.
        """
        at = time.monotonic_ns() - self._origin
        gpu = self._gpu.read(own_processes(os.getpid(), self._root), thorough=thorough)
        return msgspec.convert({"at": at, **self._host.read(), "gpu": gpu}, Look)


class Telemetry:
    """Writes a look a line while the with-block lasts.

    Args:
        path: of the file; written anew.
        observer: who looks.
        interval: seconds between looks.
    """

    def __init__(self, path: Path, observer: Observer, interval: float = INTERVAL) -> None:
        self.cost = 0.0
        """Processor seconds that looking took."""
        self.error = ""
        """Why there is no more in the file."""
        self._path = path
        self._observer = observer
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="telemetry", daemon=True)

    def __enter__(self) -> Telemetry:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        try:
            with self._path.open("wb") as file:
                while True:
                    file.write(msgspec.json.encode(self._observer.look()) + b"\n")
                    file.flush()
                    self.cost = time.thread_time()
                    if self._over.wait(self._interval):
                        return
        except OSError as error:
            self.error = f"{self._path.name}: {error.strerror}"
        except Exception as error:  # a bug: the run goes on, and the judge sees that nobody looked
            self.error = f"{self._path.name}: {type(error).__name__}: {error}"
