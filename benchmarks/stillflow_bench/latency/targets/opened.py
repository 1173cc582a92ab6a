# SPDX-License-Identifier: Apache-2.0
"""What most targets of ours open alike: the animator of a subject, photos at its size, and the facts of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from stillflow.photo import Photo
from stillflow.sessions.registry import engine_version
from stillflow.sessions.session import Array
from stillflow_bench.latency.inputs import photo_files, photo_of
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Facts, TargetSpec
from stillflow_bench.latency.targets.receipts import hashes_of, receipts_of
from stillflow_bench.latency.targets.timed_animator import TimedAnimator
from stillflow_bench.machine import usable_cores


def animator_of(subject: Subject) -> TimedAnimator:
    """The animator of a subject, nothing loaded yet.

    Raises:
        StillflowError: what the subject names is not here.
    """
    return TimedAnimator(subject.bundle, subject.engine, subject.precision, subject.device, subject.threads)


def photos_of(spec: TargetSpec, most: int | None = None) -> tuple[list[Path], list[Photo]]:
    """Files and what is in them, at exactly the subject's size.

    Args:
        spec: of the target.
        most: of them; None: all.
    """
    files = list(photo_files(spec.photos))[:most]
    return files, [photo_of(file, spec.subject) for file in files]


def facts_of(
    animator: TimedAnimator, inputs: Sequence[str], files: Sequence[Path], notes: Mapping[str, Any]
) -> Facts:
    """What the animator's loaded networks say of themselves.

    Args:
        animator: with its networks loaded.
        inputs: hashes of the inputs.
        files: the photos' files.
        notes: more to be kept.
    """
    networks, precisions = animator.networks, animator.precisions()
    ran = networks.ran()
    threads = {graph: getattr(session, "threads", None) for graph, session in networks.sessions.items()}
    return Facts(
        engine=ran["engine"],
        version=engine_version(ran["engine"]),
        provider=ran["provider"],
        precision=precisions,
        device=ran["device"],
        frames=ran["frames"],
        fallback=ran.get("fallback", ""),
        hashes=hashes_of(animator.bundle, precisions),
        receipts=receipts_of(animator.bundle, networks.sessions, precisions, animator.choice.device),
        inputs=list(inputs),
        photos=[file.name for file in files],
        notes={
            "why": list(animator.why),
            "warnings": list(animator.warnings),
            # 0: the library decides by itself, which is one a core.
            "threads": {**threads, "opencv": cv2.getNumThreads(), "cores": usable_cores()},
            **notes,
        },
    )


def pixels_of(photo: Photo) -> dict[str, Array]:
    """A photo as an input that can be hashed."""
    return {"photo": photo.pixels}
