# SPDX-License-Identifier: Apache-2.0
"""A cross-faded scene on a GPU: what is constant is uploaded once, a frame is a few launches.

What runs is kernels/cuda/fields.cu, compose.cu and nv12.cu; here is which kernel follows which, over what memory. The
time is read from device memory, so launches that were captured in a CUDA graph give any frame of the loop.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu.block import Block
from stillflow.gpu.layer import Argument, CudaDevice, Stream
from stillflow.kernels import cuda_nv12
from stillflow.kernels.arrays import SceneArrays, field_shape
from stillflow.kernels.cuda_material import Materials, Sizes, check, constant_arrays
from stillflow.kernels.moving import (
    SWAYS,
    TILE_HEIGHT,
    TILE_WIDTH,
    UNIT_HEIGHT,
    UNIT_WIDTH,
    Moving,
    Places,
    find_moving,
)
from stillflow.kernels.reference import DOUBLINGS

FIELDS = Path(__file__).with_name("cuda") / "fields.cu"
"""Source of the fields step."""

COMPOSE = Path(__file__).with_name("cuda") / "compose.cu"
"""Source of the compose step."""

PHASES = 256
"""Phases of one time, by the number of cycles, a byte; those that a scene has are computed."""


class SceneScratch:
    """What one lane needs beside the scene: planes of one frame, and the frame that NV12 is made of.

    Made by ``CudaScene.scratch``; used by one stream at a time.
    """

    def __init__(self, block: Block) -> None:
        self.block = block

    @property
    def size(self) -> int:
        """Bytes of device memory."""
        return self.block.size

    def close(self) -> None:
        """Give the memory back; harmless twice. The work that uses it must be done."""
        self.block.close()


class CudaScene:
    """A scene on a device, ready to give any frame to any number of lanes.

    Args:
        arrays: the scene.
        device: where; must stay open.

    Raises:
        StillflowError: the picture is too large, an array holds what is no number, or the device refuses.
    """

    def __init__(self, arrays: SceneArrays, device: CudaDevice) -> None:
        check(arrays)
        self.arrays = arrays
        self.moving: Moving = find_moving(arrays)
        self._device = device
        self._fields, self._compose = device.kernels(FIELDS), device.kernels(COMPOSE)
        self._nv12 = device.kernels(cuda_nv12.SOURCE)
        h, w = field_shape(arrays.height, arrays.width)
        self._cells = h * w
        # A texel is repeated before each row and column of the plate, and two after.
        self._sizes = Sizes(arrays.height, arrays.width, h, w, arrays.width + 3)
        self._harmonics, self._lights = int(arrays.sway.shape[0]), int(arrays.light.shape[0])
        self._layers = int(np.count_nonzero(np.bincount(arrays.flow.ravel())[1:]))
        constant = constant_arrays(arrays, self.moving)
        plate = 4 * self._sizes.texels * (arrays.height + 3)
        self._counts = int(constant["counts"].size)
        sizes = {name: array.nbytes for name, array in constant.items()}
        self._block = Block(device, sizes | {"plate": plate, "nv12": self.nv12_bytes})
        try:
            self._upload(constant)
        except BaseException:
            self._block.close()
            raise
        pointers = ("low", "cycles", "flow", "blend", "sway", "plate")
        self._materials = Materials(
            *(self._block.address(name) or None for name in pointers), self._harmonics, self._layers
        )

    def _upload(self, constant: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Copy what is constant, and make of it what kernels read."""
        arrays, device, block = self.arrays, self._device, self._block
        with ExitStack() as held:
            stream = held.enter_context(closing(device.stream()))
            staging = held.enter_context(closing(device.allocate(arrays.plate.nbytes)))
            held.callback(stream.synchronize)
            for name, array in constant.items():
                if array.nbytes:
                    device.upload(array, block.address(name), stream)
            device.upload(arrays.plate, staging.address, stream)
            packed = self._sizes, ctypes.c_void_p(staging.address), block.pointer("plate")
            self._compose.launch("sf_pack", self._sizes.texels * (arrays.height + 3), stream, *packed)
            size, photo = (arrays.height, arrays.width), block.address("photo")
            cuda_nv12.convert(self._nv12, *size, photo, block.address("nv12"), stream)

    @property
    def rgb_bytes(self) -> int:
        """Bytes of a frame in RGB, dense."""
        return int(self.arrays.photo.nbytes)

    @property
    def nv12_bytes(self) -> int:
        """Bytes of a frame in NV12, dense, of even sides."""
        return cuda_nv12.nv12_bytes(self.arrays.height, self.arrays.width)

    @property
    def size(self) -> int:
        """Bytes of device memory that the scene holds."""
        return self._block.size

    def scratch_bytes(self, *, nv12: bool = True) -> int:
        """Bytes of device memory that ``scratch`` takes, about."""
        return sum(self._scratch_sizes(nv12).values())

    def _scratch_sizes(self, nv12: bool) -> dict[str, int]:
        cells = self._cells
        return {
            "phases": 32 * PHASES,
            "swings": 8 * (self._harmonics + self._lights),
            # Displacements at even and at odd levels. Products of textures take the place of those at even levels
            # when the last of them was read, and their sums along rows that of those at odd levels.
            "even": 16 * cells,
            "odd": 16 * cells,
            "shift": 16 * cells,
            "mean": 16 * cells,
            "gain": 4 * cells,
            "light": 4 * cells if self._lights else 0,
            "frame": self.rgb_bytes if nv12 else 0,
        }

    def scratch(self, *, nv12: bool = True) -> SceneScratch:
        """Return the memory of a lane.

        Args:
            nv12: whether frames in NV12 alone are wanted: they are made of a frame in RGB, which is kept here.
        """
        with ExitStack() as held:
            block = Block(self._device, self._scratch_sizes(nv12))
            held.callback(block.close)
            if nv12:
                with closing(self._device.stream()) as stream:
                    photo, frame = self._block.address("photo"), block.address("frame")
                    self._device.copy(photo, frame, self.rgb_bytes, stream)
                    stream.synchronize()
            held.pop_all()
        return SceneScratch(block)

    def enqueue(
        self,
        time_address: int,
        scratch: SceneScratch,
        stream: Stream,
        *,
        rgb: int | None = None,
        nv12: int | None = None,
        still: bool = True,
    ) -> None:
        """Give a stream the work of one frame; launches and copies on the device only, so it can be captured.

        Args:
            time_address: where t lies, one double in device memory, in frames; any finite number.
            scratch: of this scene; what it holds belongs to the stream until the work is done.
            stream: that orders it.
            rgb: where the frame goes, (H, W, 3) uint8, dense; None for none.
            nv12: where it goes as NV12, (3/2 H, W) uint8 with both sides made even, dense; None for none.
            still: whether what never moves is written too. Without, the buffers must hold a frame of this very scene
                already; that saves most of the memory traffic of a scene of which little moves.

        Raises:
            StillflowError: NV12 alone is asked of a scratch that was made without it, or the device refuses.
        """
        if rgb is None and nv12 is None:
            return
        frame = rgb or scratch.block.address("frame")
        if not frame:
            raise StillflowError(
                "cannot make a frame in NV12",
                "the lane's memory was made without room for it",
                "make it with scene.scratch(nv12=True), or ask for RGB as well",
            )
        photo = self._block.address("photo")
        if still and rgb is not None and self.moving.still:
            self._device.copy(photo, rgb, self.rgb_bytes, stream)
        self.enqueue_fields(time_address, scratch, stream)
        self.enqueue_compose(scratch, frame, stream)
        if nv12 is None:
            return
        if still and self.moving.still:
            self._device.copy(self._block.address("nv12"), nv12, self.nv12_bytes, stream)
        cuda_nv12.convert(
            self._nv12,
            self.arrays.height,
            self.arrays.width,
            frame,
            nv12,
            stream,
            units=(self._block.address("converted"), self.moving.converted.size),
        )

    def enqueue_fields(self, time_address: int, lane: SceneScratch, stream: Stream) -> None:
        """The first half of ``enqueue``: what a frame needs besides, at a quarter of its size, into a lane's memory."""
        scratch, scene, moving, half = lane.block, self._block, self.moving, 8 * self._cells
        phases, swings = scratch.pointer("phases"), scratch.pointer("swings")
        harmonics = ctypes.c_int(self._harmonics + self._lights)
        time, frames = ctypes.c_void_p(time_address), ctypes.c_int(self.arrays.frames)
        timed = scene.pointer("counts"), ctypes.c_int(self._counts), scene.pointer("periods"), harmonics
        items = self._counts + harmonics.value
        self._fields.launch("sf_phases", items, stream, time, frames, *timed, phases, swings)

        def over(tiles: str, places: Places, kernel: str, *arguments: Argument) -> None:
            listed = self._sizes, scene.pointer(tiles), ctypes.c_int(places.size)
            self._fields.launch(kernel, TILE_WIDTH * TILE_HEIGHT * places.size, stream, *listed, *arguments)

        def both(level: int) -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
            address = scratch.address("odd" if level % 2 else "even")
            return ctypes.c_void_p(address), ctypes.c_void_p(address + half)

        for level, places in enumerate(moving.steps):
            if level == 0:
                still = scene.pointer("velocity"), scene.pointer("cycles")
                over("steps 0", places, "sf_step", *still, phases, *both(0))
            else:
                over(f"steps {level}", places, "sf_double", *both(level - 1), *both(level))
        traced = both(DOUBLINGS - 1) if moving.steps else (ctypes.c_void_p(), ctypes.c_void_p())
        products, sums = scratch.pointer("even"), scratch.pointer("odd")
        made = scratch.pointer("shift"), scratch.pointer("mean"), products
        over("sources", moving.sources, "sf_sources", self._materials, phases, swings, *traced, *made)
        over("rows", moving.rows, "sf_rows", products, sums)
        over("blended", moving.blended, "sf_gain", sums, scratch.pointer("gain"))
        lights = ctypes.c_void_p(scratch.address("swings") + 8 * self._harmonics)
        light = scene.pointer("light"), ctypes.c_int(self._lights), lights, scratch.pointer("light")
        over("lit", moving.lit, "sf_light", *light)

    def enqueue_compose(self, lane: SceneScratch, frame: int, stream: Stream) -> None:
        """The second half: what moves of a frame, at an address of the device, in RGB."""
        scratch, scene, units = lane.block, self._block, self.moving.units.size
        self._compose.launch(
            "sf_compose",
            UNIT_WIDTH * units,
            stream,
            self._sizes,
            scene.pointer("units"),
            ctypes.c_int(units),
            scene.pointer("plate"),
            scene.pointer("photo"),
            scene.pointer("matte"),
            *(scratch.pointer(name) for name in ("shift", "mean", "gain", "light")),
            ctypes.c_void_p(frame),
        )

    def close(self) -> None:
        """Give the memory back; harmless twice. Scratches are closed by who made them; all work must be done."""
        self._block.close()


def bytes_moved(
    scene: CudaScene, *, rgb: bool = True, nv12: bool = False, still: bool = True
) -> dict[str, int]:
    """Count the bytes that one frame of a scene moves; see ``frame_bytes``."""
    return frame_bytes(scene.arrays, scene.moving, rgb=rgb, nv12=nv12, still=still)


def frame_bytes(
    arrays: SceneArrays, moving: Moving, *, rgb: bool = True, nv12: bool = False, still: bool = True
) -> dict[str, int]:
    """Count the bytes that one frame moves, by kernel: each array's listed items once, whatever caches hold.

    Taps and lookups count as one reading of each place that is moved from; so a kernel that moves this count at the
    speed of a copy could hardly be faster. Every moving pixel counts with both its sources, though what only sways
    has one.

    Args:
        arrays: the scene; it need not be on a device.
        moving: what ``find_moving`` says of it.
        rgb: whether the frame is handed out in RGB.
        nv12: whether it is in NV12.
        still: as in ``CudaScene.enqueue``.

    Returns:
        Bytes read and written by each kernel, and by the copies of what is still ("copy").
    """
    cells = {
        name: TILE_WIDTH * TILE_HEIGHT * getattr(moving, name).size
        for name in ("sources", "rows", "blended", "lit")
    }
    steps = [TILE_WIDTH * TILE_HEIGHT * places.size for places in moving.steps]
    harmonics, lights = int(arrays.sway.shape[0]), int(arrays.light.shape[0])
    copied = rgb * arrays.photo.nbytes + nv12 * cuda_nv12.nv12_bytes(arrays.height, arrays.width)
    units = UNIT_WIDTH * UNIT_HEIGHT * moving.units.size
    # Of a cell: velocity twice (its own and looked up), cycles, two displacements.
    moved = {"sf_step": (8 + 1 + 16) * sum(steps[:1]), "sf_double": (16 + 16) * sum(steps[1:])}
    # Displacements, low twice, a texel twice, flow and cycles, harmonics and coefficients; then three times 16 bytes.
    blend = 0 if arrays.blend is None else 8
    swaying = TILE_WIDTH * TILE_HEIGHT * int(np.count_nonzero(moving.sources & SWAYS))
    moved["sf_sources"] = (16 + 32 + 8 + 2 + blend + 48) * cells["sources"] + 16 * harmonics * swaying
    moved["sf_rows"] = (16 + 16) * cells["rows"]
    moved["sf_gain"] = (16 + 4) * cells["blended"]
    moved["sf_light"] = (8 * lights + 4) * cells["lit"]
    # Of a pixel that moves: matte, photo, two texels, a sixteenth of a cell's planes, three bytes.
    planes = 36 + (4 if lights else 0)
    moved["sf_compose"] = units + (3 + 8 + 3) * moving.pixels + planes * units // 16
    # Of a pixel: three bytes, one of luma, half a byte of chroma.
    converted = UNIT_WIDTH * UNIT_HEIGHT * moving.converted.size
    moved["sf_nv12"] = nv12 * (9 * converted // 2)
    moved["copy"] = 2 * copied if still and moving.still else 0
    return moved
