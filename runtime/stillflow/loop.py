# SPDX-License-Identifier: Apache-2.0
"""A loop: what an animator hands back, to be shown or saved."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from stillflow.errors import StillflowError
from stillflow.photo import ByteArray, Photo

if TYPE_CHECKING:
    from stillflow.assess import Suitability
    from stillflow.features.feature_scene import FeatureScene
    from stillflow.features.gpu_feature_scene import GpuFeatureScene
    from stillflow.gpu.arrays import DeviceArray
    from stillflow.gpu_scene import GpuScene
    from stillflow.kernels.arrays import SceneArrays
    from stillflow.motion import Motion
    from stillflow.scene import Scene
    from stillflow.video import Batch

AnyScene = Union["Scene", "FeatureScene", "GpuScene", "GpuFeatureScene"]
"""What renders the frames: geometry, on the CPU or a GPU, or a generator that decodes each of them."""

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all) after every frame."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A seamless loop, ready to be shown or saved. Frames are rendered when asked for.

    Attributes:
        photo: the photo at the loop's size.
        motion: what the networks and the user say about how it moves.
        scene: the geometry that frames are made of.
        suitability: how well this photo lends itself to a loop.
        seconds: time each stage took: read, motion, assess, scene; and video once saved. What several
            futures share counts for the first.
        runs: what ran: engine, provider, device, precision, what makes the frames, why these, and per output "network"
            or the baseline's name; "fallback" where something does not run where it was to.
        seed: which future of the photo this is.
        strength: factor on every speed that was used.
        strength_why: "given", "natural", or in plain words why it was lowered.
        warnings: what does not run as asked, or not as fast as it could, with what changes it.
    """

    photo: Photo
    motion: Motion
    scene: AnyScene
    suitability: Suitability
    seconds: dict[str, float] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    strength: float = 1.0
    strength_why: str = "natural"
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.scene.frames

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.scene.fps

    @property
    def arrays(self) -> SceneArrays:
        """What the kernels of a cross-faded loop read.

        Raises:
            StillflowError: its frames are decoded, and there are no such arrays.
        """
        from stillflow.gpu_scene import GpuScene
        from stillflow.scene import Scene

        if not isinstance(self.scene, (Scene, GpuScene)):
            raise StillflowError(
                "cannot look into this loop",
                "a network decodes its frames, and geometry alone makes none of them",
                "use a bundle whose loop rule is cross_fade, such as edge",
            )
        return self.scene.arrays

    @property
    def moving_share(self) -> float:
        """How much of the picture moves, 0..1."""
        # A matte of 1 is touched by light alone.
        return float((self.scene.matte > 1).mean())

    def frame(self, index: int) -> ByteArray:
        """Render one frame.

        Args:
            index: any whole number; the loop repeats, so frame(len(loop)) is frame(0).

        Returns:
            (H, W, 3) uint8 RGB.
        """
        return self.scene.frame(index % len(self))

    def nv12_frames(self) -> Iterator[ByteArray]:
        """Give the frames of one loop, in order, as a video encoder reads them.

        Yields:
            (3 H' / 2, W') uint8: H' rows of luma, then H' / 2 rows of Cb, Cr, Cb, Cr..., BT.709 limited range. H'
            and W' are even; where the picture's are not, its last row and column are repeated. Each array is yours.
        """
        from stillflow.player import Nv12Scene, Player
        from stillflow.video.colour import nv12

        if isinstance(self.scene, Nv12Scene):
            frames = Player(self.scene.nv12()).frames()
        else:
            frames = Player(self.scene).each(lambda _, frame: nv12(frame))
        for _, frame in frames:
            yield frame

    def device_frames(self, *, nv12: bool = False, stream: Any = None) -> Iterator[DeviceArray]:
        """Give the frames of one loop, in order, in the memory of the GPU that makes them.

        A frame is valid until the next one is asked for, and yours to read only.

        Args:
            nv12: as ``nv12_frames`` describes instead of (H, W, 3) RGB.
            stream: a CUDA stream of yours that frames are ready on and that the next one waits for; None: a frame is
                ready when you get it, and you are done with it when you ask for the next.

        Returns:
            Arrays with ``__cuda_array_interface__`` and DLPack.

        Raises:
            StillflowError: the frames are not made on a GPU.
        """
        from stillflow.gpu_scene import GpuPlay

        if not isinstance(self.scene, GpuPlay):
            raise StillflowError(
                "there are no frames in a GPU's memory",
                f"they are made by {self.runs.get('frames', 'the CPU')}",
                "make the loop with Animator(device='cuda')",
            )
        return self.scene.device_frames(nv12=nv12, stream=stream)

    def close(self) -> None:
        """Give back the GPU's memory, where there is some; the loop cannot be played any more then.

        The same happens when nobody holds the loop any longer.
        """
        from stillflow.gpu_scene import GpuPlay

        if isinstance(self.scene, GpuPlay):
            self.scene.close()

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        loops: int = 1,
        format: str | None = None,
        alpha: bool = False,
        encoder: str = "auto",
        progress: Progress | None = None,
        batch: Batch | None = None,
    ) -> int:
        """Write the loop to a file, a numbered sequence, or standard output.

        The file appears under its name when it is complete; after an error or an interruption nothing
        is left of it.

        Args:
            path: .mp4, .webm, .webp, .gif, .apng or .png (which animates too); a folder ending in / or
                a pattern like frames/%04d.png for numbered pictures; "-" for raw RGB on standard output.
            loops: how often the loop is repeated in the file; webp, gif and apng repeat for ever with 1.
            format: one of the formats above, when the name does not say it.
            alpha: keep only the moving layer, transparent elsewhere (webm).
            encoder: who encodes mp4: "software", "nvenc" (an NVIDIA GPU), or "auto": NVENC where the frames come from
                a GPU and a test frame goes through its encoder. ``runs["encoder"]`` says who did.
            progress: called with (frames done, frames in all) after every frame.
            batch: outputs that appear together (``stillflow.video.Batch``); this one waits for its commit.

        Returns:
            Bytes written.

        Raises:
            StillflowError: the format is unknown, the folder is missing, read-only or full, or NVENC was asked for
                and does not work.
        """
        from stillflow.video import open_sink, record

        started = time.perf_counter()
        # GpuPlay's; importing that takes time that a CPU need not spend.
        device = getattr(self.scene, "device", None)
        gpu = None if device is None else device.index
        sink = open_sink(
            path,
            width=self.scene.width,
            height=self.scene.height,
            fps=self.fps,
            format=format,
            loops=loops,
            matte=self.scene.matte if alpha else None,
            # Frames from the CPU stay there: the same seed gives the same video on any machine.
            encoder="software" if encoder == "auto" and gpu is None else encoder,
            device=gpu or 0,
        )
        for name, told in (("encoder", sink.encoder), ("encoder_why", sink.encoder_why)):
            self.runs.pop(name, None)  # of a file that was saved before
            if told:
                self.runs[name] = told
        if batch is not None:
            batch.hold(sink)
        written = record(self.scene, sink, progress=progress)
        self.seconds["video"] = time.perf_counter() - started
        return written
