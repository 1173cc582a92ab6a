# SPDX-License-Identifier: Apache-2.0
"""The page of ``stillflow bake --html`` opened as a double click opens it: from a file, without a server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stillflow.baked.layout import Kind
from stillflow.baked.page import write_page
from stillflow.baked.reader import decode_baked

from ..baked.damage import with_piece
from .chromium import Chromium, Page

MARKUP = '</script><img src=x onerror="document.title = 1">'


@pytest.fixture
def golden(source_tree: Path) -> bytes:
    return (source_tree / "tests" / "data" / "baked" / "falls-1.0.sflow").read_bytes()


def page_of(browser: Chromium, path: Path, data: bytes) -> Page:
    write_page(data, path)
    return browser.page(path.as_uri())


def test_it_plays_from_a_file(browser: Chromium, golden: bytes, tmp_path: Path) -> None:
    about = json.dumps({"alt": MARKUP, "credit": MARKUP, "note": "It was made."}).encode()
    told = with_piece(golden, Kind.ABOUT, about, shape=(1, 1, len(about)), decoded=len(about))
    page = page_of(browser, tmp_path / "falls.html", told)
    page.run("globalThis.it = document.querySelector('living-photo')")
    page.until("it.playing && it.shadowRoot.querySelector('canvas[part=frame]:not([hidden])')")
    assert page.run("document.title") == MARKUP
    assert page.run("document.querySelectorAll('img').length") == 1
    assert page.run("document.querySelector('footer p').innerText").startswith(MARKUP + "\nIt was made.")
    page.run("document.querySelector('button').click()")
    assert page.run("[document.querySelector('button').textContent, it.paused, it.playing]") == [
        "Play",
        True,
        False,
    ]
    page.run("document.querySelector('button').click()")
    assert page.run("[document.querySelector('button').textContent, it.playing]") == ["Pause", True]
    bytes_of = "it.frame(5.5).then(({data}) => btoa(String.fromCharCode(...data)))"
    found = np.frombuffer(base64.b64decode(page.run(bytes_of)), np.uint8).reshape(32, 48, 4)
    assert np.abs(found[..., :3] - decode_baked(golden).scene.frame(5.5).astype(int)).max() <= 1
    fetched = page.run("fetch('data:,x').then(() => 'fetched', () => 'forbidden')")
    assert fetched == "forbidden"
    page.close()


def test_where_motion_is_not_wished_there_is_nothing_to_pause(
    browser: Chromium, golden: bytes, tmp_path: Path
) -> None:
    page = browser.page("about:blank")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    write_page(golden, tmp_path / "falls.html")
    page.go((tmp_path / "falls.html").as_uri())
    page.until("document.querySelector('output').textContent.includes('motion is not wished')")
    assert page.run("document.querySelector('button').hidden")
    page.close()


def test_without_scripts_the_photo_is_there(browser: Chromium, golden: bytes, tmp_path: Path) -> None:
    page = browser.page("about:blank")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    write_page(golden, tmp_path / "falls.html")
    page.call("Page.navigate", url=(tmp_path / "falls.html").as_uri())
    page.until("document.querySelector('img')?.complete && document.querySelector('img').naturalWidth === 48")
    box = page.run(
        "(({x, y, width, height}) => ({x, y, width, height}))(document.querySelector('img').getBoundingClientRect())"
    )
    assert (box["width"], box["height"]) == (48, 32)
    shot = page.call("Page.captureScreenshot", format="png", clip={**box, "scale": 1})["data"]
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(shot), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    photo = decode_baked(golden).scene.arrays.photo
    assert np.abs(seen.astype(int) - photo).mean() < 12
    page.close()
