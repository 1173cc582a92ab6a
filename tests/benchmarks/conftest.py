# SPDX-License-Identifier: Apache-2.0
"""A small loop with known motion and a folder of labelled photos, both made without any network or camera."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.assess import assess
from stillflow.guidance import Guidance
from stillflow.motion import Motion
from stillflow.photo import Photo
from stillflow.scene import build_scene
from stillflow_bench.machine import Provenance
from stillflow_bench.photos import scenery
from stillflow_bench.truth import Predict, read_truth
from stillflow_training.labels import LabelledPhoto
from stillflow_training.verdict_check import motion_of_label

Change = Callable[[Motion, "Guidance | None"], Motion]
Truthful = Callable[..., Predict]


@pytest.fixture(scope="session")
def river_loop() -> Loop:
    """160x96, 12 frames; the lower half is water that moves to the right."""
    photo = scenery(160, 96)
    h, w = 24, 40
    moves = np.zeros((h, w), np.float32)
    moves[12:] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 0] = 0.05
    motion = Motion(
        velocity=velocity,
        matte=moves,
        classes=moves.astype(np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=96,
        width=160,
    )
    scene = build_scene(photo, motion, seconds=1.0, fps=12.0)
    return Loop(photo, motion, scene, assess(photo, motion))


LABELS = {
    "fall": (1, "flow", [[0.5, 0.6, 0.5, 0.8, 0.2], [0.3, 0.6, 0.3, 0.8, 0.2]], 3),
    "cloudy": (2, "drift", [[0.6, 0.7, 0.2, 0.7, 0.02]], 2),
    "stone": (0, "none", [], 0),
}
"""Stem -> class of the lower half, its motion, arrows, suitability."""


@pytest.fixture(scope="session")
def labelled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos, the lower half of each labelled; all but the cloudy one are held back.

    They are as large as label masks are, so that nothing is resampled: 640x448, a whole number of field samples.
    """
    folder = tmp_path_factory.mktemp("labelled")
    for name in ("photos", "labels"):
        (folder / name).mkdir()
    rows = [["file", "split", "licence", "author", "source", "may_enter_project"]]
    for seed, (stem, (label, motion, arrows, suitability)) in enumerate(LABELS.items()):
        mask = np.zeros((448, 640), np.uint8)
        mask[224:] = label
        coarse = np.random.default_rng(seed).integers(0, 255, (112, 160, 3)).astype(np.uint8)
        pixels = cv2.resize(coarse, (640, 448), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "photos" / f"{stem}.png"), pixels)
        cv2.imwrite(str(folder / "labels" / f"{stem}_mask.png"), mask)
        kind = ("static", "water", "cloud")[label]
        region = {"class": kind, "motion": motion, "polygons": [], "holes": [], "arrows": arrows}
        told = {"file": f"photos/{stem}.png", "suitability": suitability, "regions": [region]}
        (folder / "labels" / f"{stem}.json").write_text(json.dumps(told), encoding="utf-8")
        split = "train" if stem == "cloudy" else "val"
        rows.append([f"photos/{stem}.png", split, "CC0-1.0", "nobody", f"drawn:{stem}", "yes"])
    with (folder / "LICENCES.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="session")
def items(labelled_folder: Path) -> list[LabelledPhoto]:
    """The photos of ``labelled_folder``: cloudy, fall, stone."""
    return read_truth(labelled_folder, "all")


@pytest.fixture(scope="session")
def truthful(items: list[LabelledPhoto]) -> Truthful:
    """Makes a pipeline that answers with the labels, changed by a function of (motion, guidance)."""

    def make(change: Change = lambda motion, _: motion) -> Predict:
        def predict(photo: Photo, guidance: Guidance | None) -> Motion:
            item = next(i for i in items if np.array_equal(i.photo, photo.pixels))
            return change(motion_of_label(item), guidance)

        return predict

    return make


@pytest.fixture
def about() -> Provenance:
    return Provenance(
        machine="tin-can-2core",
        cpu="Tin Can",
        cores=2,
        memory_gib=4.0,
        system="Linux 6 x86_64",
        python="3.11.0",
        versions={"numpy": "2.0"},
        commit="0123456789ab",
        command="stillflow-bench kernels",
        date="2026-01-02T03:04:05Z",
        load=0.1,
    )
