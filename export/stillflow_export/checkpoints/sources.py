# SPDX-License-Identifier: Apache-2.0
"""Who publishes checkpoints of this family, and what may be done with them."""

from __future__ import annotations

from dataclasses import dataclass

_DATA = "Trained on the stock-video clips of Holynski et al. (2021), whose own terms its repository does not state."


@dataclass(frozen=True)
class Source:
    """Where a checkpoint came from.

    Attributes:
        key: as ``--source`` takes it.
        name: for messages and file names.
        url: of the repository; empty for our own.
        licence: SPDX expression of what the repository grants.
        note: what a user has to know about it.
    """

    key: str
    name: str
    url: str
    licence: str
    note: str


SOURCES = {
    source.key: source
    for source in (
        Source(
            "slr",
            "SLR-SFS",
            "https://github.com/simon3dv/SLR-SFS",
            "LicenseRef-SLR-SFS-none-granted",
            f"Its repository grants no licence of its own: for research only, ask the authors for more. {_DATA}",
        ),
        Source(
            "t2c",
            "text2cinemagraph",
            "https://github.com/text2cinemagraph/text2cinemagraph",
            "MIT",
            f"MIT, as its repository says. {_DATA}",
        ),
        Source(
            "3dc",
            "3D-Cinemagraphy",
            "https://github.com/xingyi-li/3d-cinemagraphy",
            "Apache-2.0",
            f"Apache-2.0, as its repository says. {_DATA}",
        ),
        Source(
            "stillflow",
            "stillflow",
            "",
            "Apache-2.0",
            "Trained with stillflow_training on procedural scenes and photos with an open licence.",
        ),
    )
}
