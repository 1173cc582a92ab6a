# SPDX-License-Identifier: Apache-2.0
"""The kernels in C: ``libstillflow`` through ctypes, with the same calls as ``reference``.

ctypes releases the interpreter's lock during a call, so Python threads run these kernels in parallel.
"""

from __future__ import annotations

import ctypes
import enum
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray, FloatArray, SceneArrays
from stillflow.kernels.reference import PLANES

ABI_VERSION = 4
"""The version of stillflow.h that this module speaks."""

_SPECIAL_BUILD = re.compile(
    r"^(STILLFLOW_(SANITIZE|FUZZ):\w+=(?!OFF$)|CMAKE_TOOLCHAIN_FILE:\w+=.)", re.MULTILINE
)

ALIGNMENT = 64
"""Bytes; memory given to the library starts at a multiple of it (SF_ALIGNMENT)."""

PREFIXES = {"win32": "", "cygwin": "lib"}
SUFFIXES = {"darwin": "dylib", "win32": "dll", "cygwin": "dll"}


class Isa(enum.IntEnum):
    """Instruction sets of the library; all give the same bytes. ``BEST`` is the fastest this processor has.

    ``AVX512`` is in libraries that were built with STILLFLOW_AVX512 only: it is no faster than ``AVX2``.
    """

    BEST = 0
    BASELINE = 1
    AVX2 = 2
    AVX512 = 3


class _SceneArrays(ctypes.Structure):
    """sf_scene_arrays of stillflow.h."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("harmonics", ctypes.c_int32),
        ("frames", ctypes.c_int32),
        ("isa", ctypes.c_int32),
        ("photo", ctypes.c_void_p),
        ("plate", ctypes.c_void_p),
        ("matte", ctypes.c_void_p),
        ("velocity", ctypes.c_void_p),
        ("flow", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("inside", ctypes.c_void_p),
        ("sway", ctypes.c_void_p),
        ("blend", ctypes.c_void_p),
        ("low", ctypes.c_void_p),
        ("light", ctypes.c_void_p),
        ("lights", ctypes.c_int32),
        ("sway_periods", ctypes.c_void_p),
        ("light_periods", ctypes.c_void_p),
    )


def library_name() -> str:
    """File name of the library on this system."""
    return f"{PREFIXES.get(sys.platform, 'lib')}stillflow.{SUFFIXES.get(sys.platform, 'so')}"


def library_candidates() -> list[Path]:
    """Where the library may lie: next to the package, then in the build folders of a source checkout."""
    package = Path(__file__).resolve().parent.parent
    found = [package / "_native" / library_name()]
    root = package.parent.parent
    if (root / "CMakeLists.txt").is_file() and (root / "runtime" / "native").is_dir():
        built = [path for path in root.glob(f"build/**/{library_name()}") if _is_plain(path.parent)]
        # The newest build, so that a rebuilt library is never hidden by an older one.
        found += sorted(built, key=lambda path: path.stat().st_mtime, reverse=True)
    return found


def _is_plain(build: Path) -> bool:
    """Whether a build folder is none for sanitizers, which end a Python that loads them, or another processor."""
    cache = build / "CMakeCache.txt"
    return not (
        cache.is_file() and _SPECIAL_BUILD.search(cache.read_text(encoding="utf-8", errors="replace"))
    )


def load_library(path: Path) -> ctypes.CDLL:
    """Load one library file and declare its functions.

    Raises:
        StillflowError: the file is no library of this ABI version.
    """
    fix = "reinstall the stillflow package, or rebuild: cmake -S . -B build/native && cmake --build build/native"
    try:
        library = ctypes.CDLL(str(path))
        version = int(library.sf_abi_version())
    except (OSError, AttributeError) as error:
        raise StillflowError(f"cannot load the kernels from {path}", str(error), fix) from error
    if version != ABI_VERSION:
        raise StillflowError(
            f"cannot use the kernels from {path}",
            f"the library speaks ABI version {version}, this package speaks {ABI_VERSION}",
            fix,
        )
    size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int32
    arrays, sizes = ctypes.POINTER(_SceneArrays), ctypes.POINTER(ctypes.c_size_t)
    library.sf_status_text.argtypes = (number,)
    library.sf_status_text.restype = ctypes.c_char_p
    library.sf_sizes.argtypes = (arrays, sizes, sizes)
    library.sf_prepare.argtypes = (arrays, pointer, size, pointer, size, ctypes.POINTER(pointer))
    library.sf_fields.argtypes = (pointer, ctypes.c_double, pointer, pointer, size)
    library.sf_compose.argtypes = (pointer, pointer, number, number, pointer, ctypes.c_ssize_t)
    for name in ("sf_isa_best", "sf_sizes", "sf_prepare", "sf_fields", "sf_compose"):
        getattr(library, name).restype = number
    return library


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The library, loaded once; its functions of scenes are declared.

    Raises:
        StillflowError: it is missing, or of another ABI version.
    """
    candidates = library_candidates()
    for path in candidates:
        if path.is_file():
            return load_library(path)
    raise StillflowError(
        "the native kernels are missing",
        f"there is no {library_name()} in {candidates[0].parent}",
        "reinstall the stillflow package, or in a source checkout build it: "
        "cmake -S . -B build/native && cmake --build build/native",
    )


def available() -> bool:
    """Whether the native kernels can be used here."""
    try:
        library()
    except StillflowError:
        return False
    return True


def best_isa() -> Isa:
    """The instruction set that ``Isa.BEST`` means on this processor."""
    return Isa(library().sf_isa_best())


def _check(status: int, what: str) -> None:
    if status:
        why = library().sf_status_text(status).decode()
        raise StillflowError(
            what, why, "build the scene anew with stillflow.scene.build_scene and check its values"
        )


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Return uninitialised memory that starts at a multiple of ALIGNMENT."""
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


class NativeScene:
    """A scene laid out for the C kernels, ready to give any frame.

    Preparing costs about as much as a few frames, so keep the object while the loop plays. Any number of
    threads may use one object at once; each thread gets its own scratch memory.

    Args:
        arrays: the scene; its arrays must not be changed afterwards.
        isa: instruction set, for tests and measurements.

    Raises:
        StillflowError: the library is missing, or the arrays hold values that make no sense (not finite).
    """

    def __init__(self, arrays: SceneArrays, isa: Isa = Isa.BEST) -> None:
        self._library = library()
        self.arrays = arrays
        # Asked for by every frame.
        self._shape = (arrays.height, arrays.width, 3)
        self._planes_shape = (len(PLANES), *arrays.inside.shape)
        harmonics, lights = int(arrays.sway.shape[0]), int(arrays.light.shape[0])
        self._described = _SceneArrays(
            struct_size=ctypes.sizeof(_SceneArrays),
            height=arrays.height,
            width=arrays.width,
            harmonics=harmonics,
            frames=arrays.frames,
            isa=int(isa),
            photo=arrays.photo.ctypes.data,
            plate=arrays.plate.ctypes.data,
            matte=arrays.matte.ctypes.data,
            velocity=arrays.velocity.ctypes.data,
            flow=arrays.flow.ctypes.data,
            cycles=arrays.cycles.ctypes.data,
            inside=arrays.inside.ctypes.data,
            sway=arrays.sway.ctypes.data if harmonics else None,
            blend=None if arrays.blend is None else arrays.blend.ctypes.data,
            low=arrays.low.ctypes.data,
            light=arrays.light.ctypes.data if lights else None,
            lights=lights,
            sway_periods=arrays.sway_periods.ctypes.data if harmonics else None,
            light_periods=arrays.light_periods.ctypes.data if lights else None,
        )
        what = "cannot prepare the scene for the native kernels"
        scene_bytes, scratch_bytes = ctypes.c_size_t(), ctypes.c_size_t()
        described = ctypes.byref(self._described)
        status = self._library.sf_sizes(described, ctypes.byref(scene_bytes), ctypes.byref(scratch_bytes))
        _check(status, what)
        self._memory = aligned(scene_bytes.value)
        self._scratch_bytes = scratch_bytes.value
        self._local = threading.local()
        self._lanes: ThreadPoolExecutor | None = None
        self._lanes_lock = threading.Lock()
        self._lane_count = 0
        scene = ctypes.c_void_p()
        status = self._library.sf_prepare(
            described,
            self._memory.ctypes.data,
            self._memory.size,
            self._scratch(),
            self._scratch_bytes,
            ctypes.byref(scene),
        )
        _check(status, what)
        self._scene = scene

    @property
    def height(self) -> int:
        """Picture height in pixels."""
        return self.arrays.height

    @property
    def width(self) -> int:
        """Picture width in pixels."""
        return self.arrays.width

    @property
    def frames(self) -> int:
        """N, frames in one loop."""
        return self.arrays.frames

    def _scratch(self) -> int:
        """Address of this thread's scratch. Addresses are kept: asking an array for its own takes a microsecond."""
        kept: tuple[npt.NDArray[np.uint8], int] | None = getattr(self._local, "scratch", None)
        if kept is None:
            scratch = aligned(self._scratch_bytes)
            kept = self._local.scratch = (scratch, scratch.ctypes.data)
        return kept[1]

    def _planes(self) -> tuple[FloatArray, int]:
        """This thread's planes and their address."""
        kept: tuple[FloatArray, int] | None = getattr(self._local, "planes", None)
        if kept is None:
            planes = self.empty_planes()
            kept = self._local.planes = (planes, planes.ctypes.data)
        return kept

    def empty_planes(self) -> FloatArray:
        """Return (10, h, w) float32 zeros for ``fields``."""
        return np.zeros(self._planes_shape, np.float32)

    def fields(self, t: float, planes: FloatArray | None = None) -> FloatArray:
        """Compute the planes of the frame at time t.

        Args:
            t: time in frames, any finite number.
            planes: (10, h, w) float32 to write to; a new array of zeros without it.

        Returns:
            The planes as ``reference.fields`` orders them. Samples that no pixel with matte > 0 reads, and the
            light of a scene without light, are left as they were or hold anything.
        """
        if planes is None:
            planes = self.empty_planes()
        self._check_planes(planes)
        self._compute(t, planes.ctypes.data)
        return planes

    def _compute(self, t: float, planes: int) -> None:
        status = self._library.sf_fields(self._scene, float(t), planes, self._scratch(), self._scratch_bytes)
        if status:
            _check(status, f"cannot compute the fields at t = {t}")

    def compose(self, planes: FloatArray, y0: int, y1: int, out: ByteArray) -> None:
        """Write rows y0..y1-1 of the frame to ``out``, (H, W, 3) uint8 whose rows may be apart."""
        self._check_planes(planes)
        self._write(planes.ctypes.data, y0, y1, out)

    def _write(self, planes: int, y0: int, y1: int, out: ByteArray) -> None:
        if (
            out.shape != self._shape
            or out.dtype != np.uint8
            or out.strides[1:] != (3, 1)
            or not out.flags.writeable
        ):
            raise StillflowError(
                "cannot write the frame",
                f"the array is {out.shape} {out.dtype} with strides {out.strides}, "
                f"the frame is {self._shape} uint8",
                "pass a writable uint8 array of that shape whose pixels are dense in each row",
            )
        status = self._library.sf_compose(
            self._scene, planes, int(y0), int(y1), out.ctypes.data, out.strides[0]
        )
        if status:
            _check(status, f"cannot compose rows {y0} to {y1}")

    def frame(self, t: float, out: ByteArray | None = None, lanes: int = 1) -> ByteArray:
        """Compute the whole frame at time t.

        Args:
            t: time in frames, any finite number.
            out: (H, W, 3) uint8 to write to; a new array without it.
            lanes: threads that share the rows. Frames computed by one thread each use the cores better;
                lanes make a single frame arrive earlier.

        Returns:
            The frame, the same bytes whatever ``lanes`` is.
        """
        if out is None:
            out = np.empty(self._shape, np.uint8)
        planes, at = self._planes()
        self._compute(t, at)
        height = self._shape[0]
        lanes = max(1, min(int(lanes), height))
        if lanes == 1:
            self._write(at, 0, height, out)
            return out
        # More parts than lanes, since what moves is rarely spread evenly over the rows.
        edges = np.linspace(0, height, min(4 * lanes, height) + 1).astype(int)
        parts = self._pool(lanes).map(self._part(planes, out), edges[:-1], edges[1:])
        for _ in parts:
            pass
        return out

    def _part(self, planes: FloatArray, out: ByteArray) -> Callable[[int, int], None]:
        return lambda y0, y1: self.compose(planes, y0, y1, out)

    def _pool(self, lanes: int) -> ThreadPoolExecutor:
        with self._lanes_lock:
            if self._lanes is None or self._lane_count < lanes:
                if self._lanes is not None:
                    self._lanes.shutdown(wait=False)
                self._lanes = ThreadPoolExecutor(lanes, thread_name_prefix="stillflow-lane")
                self._lane_count = lanes
            return self._lanes

    def _check_planes(self, planes: FloatArray) -> None:
        if planes.shape != self._planes_shape or planes.dtype != np.float32 or not planes.flags.c_contiguous:
            raise StillflowError(
                "the planes do not fit the scene",
                f"they are {planes.shape} {planes.dtype}, the scene needs {self._planes_shape} float32",
                "pass what fields returned for this scene",
            )


def fields(arrays: SceneArrays, t: float) -> FloatArray:
    """Compute the planes of the frame at time t, like ``reference.fields``; prepares the scene each time.

    Samples that no pixel with matte > 0 reads are not defined.
    """
    return NativeScene(arrays).fields(t)


def compose(arrays: SceneArrays, planes: FloatArray, y0: int, y1: int, out: ByteArray) -> None:
    """Write rows y0..y1-1 of a frame, like ``reference.compose``; prepares the scene each time."""
    NativeScene(arrays).compose(planes, y0, y1, out)
