# SPDX-License-Identifier: Apache-2.0
"""``stillflow bake``: one file that plays without networks."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.baked import read_baked

pytestmark = pytest.mark.usefixtures("default_bundle")

SHORT = ("--seconds", 1, "--fps", 8, "--size", 96, "--device", "cpu")


def test_a_photo_is_baked(stillflow: Callable, sample_photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "fall.sflow"
    ended = stillflow("bake", sample_photo, "-o", out, *SHORT, "--alt", "A fall", "--credit", "CC0")
    assert ended.code == 0, ended.err
    assert "8 frames at 8 fps, 96x54" in ended.out
    assert f"stillflow play {out}" in ended.out
    assert "dB; --lossless keeps every pixel" in ended.out
    baked = read_baked(out)
    assert (baked.about["alt"], baked.about["credit"]) == ("A fall", "CC0")
    assert baked.scene.frame(3).shape == (54, 96, 3)


def test_the_summary_is_one_object(stillflow: Callable, sample_photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "fall.sflow"
    found = stillflow("bake", sample_photo, "-o", out, *SHORT, "--lossless", "--json").summary
    assert found["bytes"] == out.stat().st_size
    assert (found["photo"], found["psnr"], found["frames"]) == ("lossless", None, 8)
    assert sum(section["bytes"] for section in found["sections"]) < found["bytes"]
    assert found["sections"][0]["kind"] == "photo"
    assert stillflow("bake", sample_photo, "-o", out, *SHORT, "--raw", "--overwrite", "-q").out == ""
    assert out.stat().st_size > 96 * 54 * 8


def test_a_page_is_written_beside_it(stillflow: Callable, sample_photo: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "fall.sflow", tmp_path / "fall.html"
    page.write_text("precious")
    stillflow("bake", sample_photo, "-o", out, *SHORT, "--html").refused("--overwrite")
    assert page.read_text() == "precious" and not out.exists()
    found = stillflow("bake", sample_photo, "-o", out, *SHORT, "--html", "--overwrite", "--json").summary
    assert found["page"] == str(page)
    assert base64.b64encode(out.read_bytes()) in page.read_bytes()


def test_what_cannot_be_baked(
    stillflow: Callable, sample_photo: Path, photo_file: Path, tmp_path: Path, leftovers: Callable
) -> None:
    stillflow("bake", sample_photo, "-o", tmp_path / "a.mp4").refused("ends in .sflow")
    stillflow("bake", photo_file, "-o", photo_file).refused("ends in .sflow")
    stillflow("bake", tmp_path / "no.jpg", "-o", tmp_path / "a.sflow").refused("there is no such file")
    stillflow("bake", sample_photo, "-o", tmp_path / "no" / "a.sflow").refused("mkdir -p")
    assert leftovers() == set()
    out = tmp_path / "a.sflow"
    out.write_bytes(b"precious")
    stillflow("bake", sample_photo, "-o", out).refused("--overwrite")
    assert out.read_bytes() == b"precious"


def test_a_photo_in_which_nothing_moves(stillflow: Callable, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(flat)
    stillflow("bake", flat, "-o", tmp_path / "flat.sflow", *SHORT, "-q").refused("fix")
    assert stillflow("bake", flat, "-o", tmp_path / "flat.sflow", *SHORT, "-q", "--force").code == 0
    assert (read_baked(tmp_path / "flat.sflow").scene.frame(4) == 90).all()
