# SPDX-License-Identifier: Apache-2.0
"""A folder of labelled photos as the recipes want it, drawn instead of photographed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest


def _region(kind: str, motion: str, arrows: list[list[float]]) -> dict[str, object]:
    return {"class": kind, "motion": motion, "polygons": [], "holes": [], "arrows": arrows}


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos of 96x64: falls (water), skies (cloud), stones (static); one of each is held back."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "photos").mkdir()
    (folder / "labels").mkdir()
    rng = np.random.default_rng(5)
    rows = []
    kinds = {
        "fall": (1, [_region("water", "flow", [[0.5, 0.6, 0.5, 0.8, 0.2], [0.3, 0.6, 0.3, 0.8, 0.2]])]),
        "sky": (2, [_region("cloud", "drift", [[0.2, 0.7, 0.6, 0.7, 0.02]])]),
        "stone": (0, [_region("static", "none", [])]),
    }
    for kind, (label, regions) in kinds.items():
        for split in ("train", "val"):
            name = f"{kind}_{split}"
            pixels = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
            mask = np.zeros((64, 96), np.uint8)
            mask[32:] = label
            pixels[32:, :, 0] //= 1 + label
            cv2.imwrite(str(folder / "photos" / f"{name}.jpg"), pixels)
            cv2.imwrite(str(folder / "labels" / f"{name}_mask.png"), mask)
            text = json.dumps({"file": f"photos/{name}.jpg", "suitability": 2, "regions": regions})
            (folder / "labels" / f"{name}.json").write_text(text, encoding="utf-8")
            rows.append([f"photos/{name}.jpg", split, "CC0-1.0", "nobody", f"drawn:{name}", "yes"])
    with (folder / "LICENCES.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "split", "licence", "author", "source", "may_enter_project"])
        writer.writerows(rows)
    return folder
