# SPDX-License-Identifier: Apache-2.0
"""A scene played into a sink: rendering, conversion and encoding overlap."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from stillflow.player import Nv12Scene, PlayableScene, Player
from stillflow.video.sink import Sink


def record(
    scene: PlayableScene,
    sink: Sink,
    *,
    lanes: int | None = None,
    queue: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Render every frame of a scene into a sink and close it.

    The player's lanes render and prepare (convert, compress) frames; this thread feeds the encoder,
    which has threads of its own. After any exception, Ctrl-C included, the sink is aborted: nothing
    half-made stays behind. A scene that makes NV12 frames by itself is asked for those where the sink takes them.

    Args:
        scene: what renders the frames, of the size the sink was opened for.
        sink: an open sink; it is closed or aborted on return.
        lanes: threads that render, see Player.
        queue: frames computed ahead, see Player.
        progress: called with (frames done, frames in all) after every frame.

    Returns:
        Bytes written.

    Raises:
        StillflowError: the output cannot be written.
    """
    played = scene.nv12() if sink.takes_nv12 and isinstance(scene, Nv12Scene) else scene
    with sink:
        frames = Player(played, lanes=lanes, queue=queue).each(sink.prepare)
        with closing(frames):
            for index, prepared in frames:
                sink.put(prepared)
                if progress is not None:
                    progress(index + 1, scene.frames)
        return sink.close()
