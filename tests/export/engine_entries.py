# SPDX-License-Identifier: Apache-2.0
"""Sidecars of engines that nobody built, for tests of what is told of them."""

from __future__ import annotations

from stillflow.build.entry import Entry, Parts, Target
from stillflow.build.request import Settings


def entry_of(sha256: str, created: str = "2026-01-01T00:00:00Z") -> Entry:
    """The sidecar of an engine of a graph with this SHA-256."""
    shape = ((1, 3, 32, 32), (1, 3, 320, 320), (1, 3, 320, 320))
    settings = Settings(
        shapes={"photo": shape},
        workspace_mib=512,
        builder_level=3,
        aux_streams=None,
        version_compatible=False,
        hardware_compatibility="none",
        tf32=False,
        compute_capability="8.9",
    )
    parts = Parts(
        onnx_sha256=sha256,
        builder="tensorrt_rtx",
        builder_version="1.7.1",
        settings=settings,
        target=Target(compute_capability="8.9"),
    )
    return Entry(
        parts=parts,
        engine="flow.engine",
        bytes=12,
        sha256="0" * 64,
        bundle="golden",
        graph="flow",
        precision="fp32",
        profile="rtx-4090",
        seconds=1.5,
        layers=2,
        inspected="network",
        created=created,
        stillflow="0.1.0",
    )
