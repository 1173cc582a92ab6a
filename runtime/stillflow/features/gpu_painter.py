# SPDX-License-Identifier: Apache-2.0
"""Makes frames of a feature scene on a GPU: throws the features, decodes what landed, puts it over the photo.

Nothing is waited for and nothing but the finished frame leaves the device. Memory is taken once for each lane; where
the device has too little, tiles get smaller.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from contextlib import ExitStack

import numpy as np

from stillflow.features.even_tiles import Tile, even_tiles
from stillflow.features.feature_scene import FEATHER, FeaturePlan, grown
from stillflow.features.gpu_displacements import GpuDisplacements
from stillflow.features.gpu_encoder import SOURCE, encode_photo, piece
from stillflow.features.gpu_networks import DeviceSessions, checked, fitted, input_array, smaller
from stillflow.features.gpu_scratch import FeatureScratch
from stillflow.features.layered import both_decoders
from stillflow.features.networks import STATES_SHARE, FeatureNetworks
from stillflow.features.tiles import TiledGraph
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.kernels import cuda_nv12
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.cuda_splat import CWindow
from stillflow.kernels.splat_source import Window

RECORDABLE = frozenset({"tensorrt", "tensorrt_rtx"})
"""Engines whose work can be recorded into a CUDA graph while their inputs keep their shape."""

log = logging.getLogger(__name__)


class _Photo(ctypes.Structure):
    """Photo of features.cu."""

    _fields_ = (
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("pixels", ctypes.c_void_p),
        ("matte", ctypes.c_void_p),
    )


class GpuPainter:
    """Everything about a feature scene that is constant in time, on a device, and the making of its frames.

    Bytes, with P pixels of the padded picture, of which M move, C channels that are thrown (made a multiple of 4), and
    N frames in a cycle: for the scene 4 C P + 12 P + 4 M, with layers 16 P more, and for states 16 M ceil(N / 8 - 1),
    within the budget of ``networks.memory``. Each lane: 29 P, 16 for every pixel of what is landed on, 16 (3 M + P)
    for lists, and a tile of the decoder, beside what the networks take for themselves.

    Args:
        plan: of the scene.
        networks: how graphs are cut into tiles.
        sessions: the graphs on the device; they stay the caller's.
        device: where.

    Raises:
        OutOfMemoryError: what is kept of the photo, or the encoder's smallest tile, does not fit.
        StillflowError: a graph fails, or its outputs are not what the manifest says.
    """

    def __init__(
        self, plan: FeaturePlan, networks: FeatureNetworks, sessions: DeviceSessions, device: CudaDevice
    ) -> None:
        height, width = plan.velocity.shape[:2]
        networks = fitted(networks, sessions, device)
        self.plan, self.device, self.size = plan, device, (height, width)
        self._decoder, self._alpha = sessions["decoder"], sessions.get("alpha_decoder")
        self._graph = networks.decoder
        if networks.layers is None:
            self._alpha = None
        else:
            self._graph = both_decoders(networks.decoder, networks.layers[2])
        self.decoding = (self._decoder,) if self._alpha is None else (self._decoder, self._alpha)
        self._lock = threading.Lock()
        self._alive: set[FeatureScratch] = set()
        self._kernels, self._nv12 = device.kernels(SOURCE), device.kernels(cuda_nv12.SOURCE)
        with ExitStack() as owned:
            self.stream = device.stream()
            owned.callback(self.stream.close)
            self.photo = encode_photo(plan.photo, self.size, networks, sessions, device, self.stream)
            owned.callback(self.photo.close)
            states = int(networks.memory * STATES_SHARE)
            self.displacements = GpuDisplacements(
                plan.velocity, plan.period, networks.edge_share, states, device, self.stream
            )
            owned.callback(self.displacements.close)
            matte = device.allocate(plan.matte.nbytes)
            owned.callback(matte.close)
            self._matte = matte.address
            device.upload(np.ascontiguousarray(plan.matte), self._matte, self.stream)
            self.stream.synchronize()
            self._owned = owned.pop_all()

    def scratch(self, *, nv12: bool = False, windows: tuple[Window, ...] | None = None) -> FeatureScratch:
        """New memory for a lane, with smaller tiles where there is none left for larger ones.

        Args:
            nv12: frames are made as NV12, too.
            windows: that are decoded; those of the plan without.

        Raises:
            OutOfMemoryError: other lanes have memory that could be given back, or not even the smallest tiles fit.
        """
        windows = self.plan.windows if windows is None else windows
        with self._lock:
            while True:
                try:
                    made = FeatureScratch(self, windows, self._graph, nv12)
                except OutOfMemoryError as error:
                    if self._alive:
                        raise
                    self._graph = self._less(windows, self._graph, error)
                else:
                    self._alive.add(made)
                    return made

    def tiles(self, windows: tuple[Window, ...], graph: TiledGraph) -> list[Tile]:
        """What is decoded for a frame: windows, and around them where a hole's filling may begin."""
        outer = [grown(window, FEATHER, *self.size) for window in windows]
        return [tile for window in outer for tile in even_tiles(graph, window, *self.size)]

    @property
    def recordable(self) -> bool:
        """Whether the making of a frame may be recorded as a CUDA graph."""
        shapes = {
            (outer.y1 - outer.y0, outer.x1 - outer.x0)
            for _, outer in self.tiles(self.plan.windows, self._graph)
        }
        return len(shapes) == 1 and all(session.engine in RECORDABLE for session in self.decoding)

    def closed(self, scratch: FeatureScratch) -> None:
        """A lane gave its memory back."""
        self._alive.discard(scratch)

    def enqueue(
        self,
        time_address: int,
        scratch: FeatureScratch,
        stream: Stream,
        *,
        rgb: int | None = None,
        nv12: int | None = None,
        still: bool = True,
    ) -> None:
        """Put the making of one frame into a stream.

        Args:
            time_address: of a double on the device, in frames.
            scratch: of the lane.
            stream: that orders it, always the same for a scratch.
            rgb: where (H, W, 3) uint8 goes, or None.
            nv12: where the frame goes as NV12, or None; only with a scratch that was made for it.
            still: whether what never moves is written too. Without, ``rgb`` holds a frame of this very scene.

        Raises:
            OutOfMemoryError: a network does not find memory for the smallest tiles.
        """
        self.paint(time_address, scratch, stream)
        if rgb is not None:
            if still:
                self.device.copy(self.photo.pixels, rgb, self.plan.photo.nbytes, stream)
            self._show(scratch, rgb, stream)
        if nv12 is not None:
            assert scratch.rgb is not None, "a scratch made for NV12"
            self._show(scratch, scratch.rgb, stream)
            rows, columns = self.plan.photo.shape[:2]
            cuda_nv12.convert(self._nv12, rows, columns, scratch.rgb, nv12, stream)

    def _show(self, scratch: FeatureScratch, rgb: int, stream: Stream) -> None:
        """Put the canvas over a frame."""
        photo = _Photo(*self.plan.photo.shape[:2], self.photo.pixels, self._matte)
        for window in scratch.windows:
            self._kernels.launch(
                "sf_show",
                (window.y1 - window.y0) * (window.x1 - window.x0),
                stream,
                CWindow(*window),
                photo,
                scratch.canvas,
                ctypes.c_void_p(self.photo.background),
                ctypes.c_int(FEATHER),
                ctypes.c_void_p(rgb),
            )

    def paint(self, time_address: int, scratch: FeatureScratch, stream: Stream) -> None:
        """Throw and decode one frame onto the canvas of a lane; see ``enqueue``."""
        while True:
            try:
                if not scratch.ready:
                    scratch.retile(self._graph)
                self._paint(time_address, scratch, stream)
                return
            except OutOfMemoryError as error:
                # Of the networks: what they need for a tile shows when they run.
                if self.recordable and self._shared(scratch, stream):
                    raise
                stream.synchronize()
                scratch.drop()
                with self._lock:
                    self._graph = self._less(scratch.windows, scratch.decoder, error)

    def _shared(self, scratch: FeatureScratch, stream: Stream) -> bool:
        """Whether another frame of the same stream may be a graph, which holds on to the networks' memory."""
        return any(other is not scratch and other.stream is stream for other in tuple(self._alive))

    def _paint(self, time_address: int, scratch: FeatureScratch, stream: Stream) -> None:
        """Put it into the stream."""
        if not scratch.tiles:
            return
        scratch.used_with(stream)
        self.displacements.enqueue(time_address, scratch.moment, scratch.maps, stream)
        scratch.splat.aim(scratch.maps, scratch.moment, stream)
        self.device.clear(scratch.canvas.near, scratch.near_bytes, stream)
        for tile in scratch.tiles:
            self._decode(tile, scratch, stream)

    def _decode(self, tile: Tile, scratch: FeatureScratch, stream: Stream) -> None:
        """Land on a tile, decode it and keep its core."""
        outputs = self.photo.source.outputs
        size = tile.outer.y1 - tile.outer.y0, tile.outer.x1 - tile.outer.x0
        scratch.splat.land(scratch.features, scratch.mask, stream, tile.outer)
        mask = input_array(self.device, stream, scratch.mask, (1, 1, *size))
        # With layers the alpha's logit lies behind the features, which alone are the decoder's.
        plain = outputs if self._alpha is None else outputs - 1
        features = input_array(self.device, stream, scratch.features, (1, plain, *size))
        made = self._decoder.run_on({"features": features, "mask": mask}, stream)
        frame, closed = checked(made, "frame", tile, 3), checked(made, "closed", tile, 1)
        alpha: int | None = None
        if self._alpha is not None:
            features = input_array(self.device, stream, scratch.features, (1, outputs, *size))
            alphas = self._alpha.run_on({"features": features, "mask": mask}, stream)
            alpha = checked(alphas, "alpha", tile, 1).address
        core = tile.core
        self._kernels.launch(
            "sf_paint",
            (core.y1 - core.y0) * (core.x1 - core.x0),
            stream,
            piece(tile),
            scratch.canvas,
            ctypes.c_void_p(frame.address),
            ctypes.c_void_p(closed.address),
            ctypes.c_void_p(alpha),
            ctypes.c_void_p(self.photo.standing),
            ctypes.c_void_p(self.photo.background),
        )

    def decoded(self, t: float) -> FloatArray:
        """What the network paints at time t, all of it; see ``FeatureScene.decoded``. Waits."""
        height, width = self.size
        out = np.empty((3, height, width), np.float32)
        with ExitStack() as owned:
            stream = self.device.stream()
            owned.callback(stream.close)
            time = self.device.allocate(8)
            owned.callback(time.close)
            scratch = self.scratch(windows=(Window(0, height, 0, width),))
            owned.callback(scratch.close)
            owned.callback(stream.synchronize)
            self.device.upload(np.array([t], np.float64), time.address, stream)
            self.paint(time.address, scratch, stream)
            self.device.download(scratch.canvas.painted, out, stream)
        rows, columns = self.plan.photo.shape[:2]
        return np.ascontiguousarray(np.moveaxis(out, 0, -1)[:rows, :columns])

    def _less(self, windows: tuple[Window, ...], graph: TiledGraph, error: OutOfMemoryError) -> TiledGraph:
        """Smaller tiles than before.

        Raises:
            OutOfMemoryError: there are none.
        """
        less = smaller(graph, lambda graph: self.tiles(windows, graph)) if windows else None
        if less is None:
            raise OutOfMemoryError(
                "cannot play this loop on the GPU",
                f"its memory does not hold a single tile: {error.why}",
                "make it smaller with --size, end other programs on the GPU, or use --device cpu",
            ) from error
        log.warning("the GPU's memory is short: frames are decoded in smaller tiles")
        return less

    def close(self) -> None:
        """Give everything back, after the lanes; harmless twice."""
        self._owned.close()
