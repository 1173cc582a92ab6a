# SPDX-License-Identifier: Apache-2.0
"""The library's bundles from Python: its structs, and calls that raise what it says."""

from __future__ import annotations

import ctypes
import glob
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..internals import Error, internals, pointer
from ..structs import OK, BundleSource, Facts, Log, Photo, Target, Wish


class RefusedError(Exception):
    """The library said no: its status, and the three texts."""

    def __init__(self, status: int, error: Error) -> None:
        self.status = status
        self.what, self.why, self.fix = (
            text.decode("utf-8", "replace") for text in (error.what, error.why, error.fix)
        )
        super().__init__(f"{status}: {self.what}: {self.why}; {self.fix}")


def check(status: int, error: Error) -> None:
    """Raise what the library said."""
    assert status == error.status
    if status:
        raise RefusedError(status, error)


def onnxruntime() -> str:
    """Path of the shared library inside the installed package; skips where it has none."""
    import onnxruntime as ort

    found = glob.glob(str(Path(ort.__file__).parent / "capi" / "libonnxruntime.so.*"))
    if not found:
        pytest.skip("the installed onnxruntime has no shared library beside its module")
    return found[0]


class Bundle:
    """An open sf_bundle."""

    def __init__(
        self, path: str | Path, *, library: str | None = None, log: Any = None, **options: Any
    ) -> None:
        self._library = internals()
        self._log = Log(
            lambda _, level, line: log.append((level, line.decode())) if log is not None else None
        )
        for name, kinds in {
            "sf_bundle_open": (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
            "sf_bundle_test": (ctypes.c_void_p, ctypes.c_void_p),
            "sf_bundle_close": (ctypes.c_void_p,),
            "sf_bundle_loop": (ctypes.c_void_p,) * 5,
        }.items():
            getattr(self._library, name).argtypes = kinds
        texts = {name: value.encode() for name, value in options.items() if isinstance(value, str)}
        source = BundleSource(
            path=str(path).encode(),
            onnxruntime=(library or onnxruntime()).encode(),
            log=self._log,
            **(options | texts),
        )
        error, self.address = Error(), ctypes.c_void_p(1)
        status = self._library.sf_bundle_open(
            ctypes.byref(source), ctypes.byref(self.address), ctypes.byref(error)
        )
        assert (self.address.value is None) == (status != 0)
        check(status, error)

    def test(self) -> None:
        """sf_bundle_test."""
        error = Error()
        check(self._library.sf_bundle_test(self.address, ctypes.byref(error)), error)

    def loop(self, photo: Photo, wish: Wish | None = None) -> Loop:
        """sf_bundle_loop."""
        error, address = Error(), ctypes.c_void_p(1)
        status = self._library.sf_bundle_loop(
            self.address,
            ctypes.byref(photo),
            None if wish is None else ctypes.byref(wish),
            ctypes.byref(address),
            ctypes.byref(error),
        )
        assert (address.value is None) == (status != 0)
        check(status, error)
        return Loop(address)

    def close(self) -> None:
        """sf_bundle_close."""
        self._library.sf_bundle_close(self.address)
        self.address = ctypes.c_void_p()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Loop:
    """An open sf_loop."""

    def __init__(self, address: ctypes.c_void_p) -> None:
        self._library = internals()
        self._address = address
        for name, kinds in {
            "sf_loop_facts": (ctypes.c_void_p,) * 3,
            "sf_loop_at": (ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p, ctypes.c_size_t),
            "sf_loop_rows": (
                *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32),
                *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
            ),
            "sf_loop_close": (ctypes.c_void_p,),
        }.items():
            getattr(self._library, name).argtypes = kinds
        self.facts = Facts()
        assert self._library.sf_loop_facts(address, None, ctypes.byref(self.facts)) == OK

    def frame(self, t: float) -> np.ndarray:
        """(height, width, 3) uint8 RGB at the loop's size."""
        facts = self.facts
        block = np.zeros(facts.frame_bytes + 64, np.uint8)
        memory = block[-block.ctypes.data % 64 :]
        assert self._library.sf_loop_at(self._address, t, pointer(memory), facts.frame_bytes) == OK
        out = np.zeros((facts.height, facts.width, 3), np.uint8)
        target = Target(data=pointer(out), stride=3 * facts.width)
        status = self._library.sf_loop_rows(
            self._address, pointer(memory), 0, facts.height, ctypes.byref(target), None, 0
        )
        assert status == OK
        return out

    def close(self) -> None:
        """sf_loop_close."""
        self._library.sf_loop_close(self._address)
