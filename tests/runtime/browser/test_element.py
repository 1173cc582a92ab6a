# SPDX-License-Identifier: Apache-2.0
"""<living-photo> in a page: when it moves, when it shows the photo, and what it says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stillflow.baked.layout import Kind
from stillflow.baked.reader import decode_baked

from ..baked.damage import with_head, with_piece
from .chromium import Chromium, Page

FRAME = "it.shadowRoot.querySelector('canvas[part=frame]:not([hidden])')"
PHOTO = "it.shadowRoot.querySelector('canvas[part=photo]:not([hidden])')"
POSTER = "it.shadowRoot.querySelector('slot:not([hidden])')"
Opened = Callable[..., Page]


@pytest.fixture
def golden(source_tree: Path, served: tuple[Path, str]) -> bytes:
    data = (source_tree / "tests" / "data" / "baked" / "falls-1.0.sflow").read_bytes()
    (served[0] / "falls.sflow").write_bytes(data)
    return data


@pytest.fixture
def page(golden: bytes, opened: Opened) -> Page:
    """One that plays."""
    made = opened('<living-photo src="falls.sflow"><img alt="" width="48" height="32"></living-photo>')
    made.until(f"told.length && {FRAME} && it.playing")
    return made


def passes(page: Page) -> bool:
    """Whether time passes within some frames of the display."""
    before = page.run("it.time")
    wait = "new Promise((done) => { let n = 8; const go = () => n-- ? requestAnimationFrame(go) : done(); go(); })"
    page.run(wait)
    return bool(page.run("it.time") != before)


def pixels_of(page: Page, canvas: str) -> list[int]:
    """RGB of the upper left pixels of a canvas with a 2D context."""
    return list(page.run(f"Array.from({canvas}.getContext('2d').getImageData(0, 0, 48, 32).data)"))


def test_it_plays_pauses_and_is_set(page: Page) -> None:
    assert page.run("told") == [{"name": "ready", "still": "", "about": page.run("it.about")}]
    assert page.run("[it.duration, it.still, it.paused, it.speed]") == [1, "", False, 1]
    assert passes(page)
    page.run("it.pause()")
    assert page.run("[it.paused, it.hasAttribute('paused'), it.playing]") == [True, True, False]
    assert not passes(page)
    assert page.run("it.time = 3.25, it.time") == 0.25
    assert page.run("it.time = -0.25, it.time") == 0.75
    assert page.run("it.time = NaN, it.time") == 0
    assert page.run("it.speed = -2, it.speed") == -2
    page.run("it.time = 0.5; it.play()")
    assert passes(page)


def test_it_is_read_aloud_and_names_its_maker(
    golden: bytes, opened: Opened, served: tuple[Path, str]
) -> None:
    markup = '<img src=x onerror="told.push(0)">'
    about = json.dumps({"alt": markup, "credit": markup, "note": "It was made."}).encode()
    told = with_piece(golden, Kind.ABOUT, about, shape=(1, 1, len(about)), decoded=len(about))
    (served[0] / "told.sflow").write_bytes(told)
    page = opened('<living-photo src="told.sflow"></living-photo>')
    page.until("told.length")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    names = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "image"]
    assert names == [markup]
    credit = "it.shadowRoot.querySelector('[part=credit]:not([hidden])')"
    assert page.run(f"{credit}.textContent") == markup
    assert page.run("it.shadowRoot.querySelector('[part=stage]').title") == "It was made."
    assert page.run("[...it.shadowRoot.querySelectorAll('img')].length") == 0
    page.run("it.alt = 'Falls'")
    assert page.run("it.shadowRoot.querySelector('[role=img]').getAttribute('aria-label')") == "Falls"
    assert [event["name"] for event in page.run("told")] == ["ready"]


def test_reduced_motion_shows_the_photo(golden: bytes, opened: Opened) -> None:
    page = opened('<living-photo src="falls.sflow"></living-photo>')
    page.until("told.length")
    calm = {"name": "prefers-reduced-motion", "value": "reduce"}
    page.call("Emulation.setEmulatedMedia", features=[calm])
    page.until(f"it.still.startsWith('motion is not wished') && !it.playing && !{FRAME}")
    assert not passes(page)
    page.run("it.play(); told.length = 0; it.src = 'falls.sflow?anew'")
    page.until("told.length")
    assert page.run("told[0].name") == "ready" and "motion is not wished" in page.run("told[0].still")
    assert not passes(page) and page.run(f"{FRAME} === null")
    photo = decode_baked(golden).scene.arrays.photo
    seen = pixels_of(page, PHOTO)
    assert [seen[c::4] for c in range(3)] == [photo[..., c].ravel().tolist() for c in range(3)]
    page.call("Emulation.setEmulatedMedia", features=[{**calm, "value": "no-preference"}])
    page.until(f"it.playing && {FRAME}")
    assert passes(page)


def test_it_plays_only_where_it_is_seen(golden: bytes, opened: Opened) -> None:
    tall = '<div style="height:3000px"></div>'
    page = opened(f'{tall}<living-photo src="falls.sflow"></living-photo>{tall}')
    page.until("told.length")
    assert not passes(page) and page.run(f"{FRAME} === null && {PHOTO} !== null")
    page.run("it.scrollIntoView()")
    page.until(f"it.playing && {FRAME}")
    assert passes(page)
    page.run("scrollTo(0, 0)")
    page.until(f"!it.playing && {FRAME} === null")


def test_a_page_that_is_not_shown_is_not_played(page: Page) -> None:
    hide = "Object.defineProperty(document, 'hidden', {{value: {0}, configurable: true}});"
    page.run(hide.format("true") + "document.dispatchEvent(new Event('visibilitychange'))")
    assert page.run("it.playing") is False and not passes(page)
    page.run(hide.format("false") + "document.dispatchEvent(new Event('visibilitychange'))")
    assert page.run("it.playing") is True and passes(page)


def test_taken_out_it_gives_the_gpu_back(page: Page) -> None:
    page.run(f"globalThis.gl = {FRAME}.getContext('webgl2'); it.remove()")
    assert page.run("gl.isContextLost() && !it.playing")
    page.run("document.body.append(it)")
    page.until(f"it.playing && {FRAME}")
    assert passes(page)


def test_a_gpu_that_is_lost_leaves_the_photo_until_it_comes_back(page: Page) -> None:
    page.run(
        f"globalThis.ext = {FRAME}.getContext('webgl2').getExtension('WEBGL_lose_context'); ext.loseContext()"
    )
    page.until(f"!it.playing && {FRAME} === null && {PHOTO}")
    assert page.run("it.still") == "the GPU was taken away"
    page.run("ext.restoreContext()")
    page.until(f"it.playing && {FRAME}")
    assert passes(page) and page.run("it.still") == ""


def test_two_on_a_page(golden: bytes, opened: Opened, served: tuple[Path, str]) -> None:
    (served[0] / "bad.sflow").write_bytes(golden[:-1])
    page = opened(
        '<living-photo id="one" src="falls.sflow"></living-photo><living-photo id="two" src="falls.sflow" paused>'
        '</living-photo><living-photo id="three" src="bad.sflow"></living-photo>'
    )
    page.until("told.length === 3 && one.playing")
    assert sorted(event["name"] for event in page.run("told")) == ["error", "ready", "ready"]
    assert page.run("two.time === 0 && !two.playing && three.still === 'there is no scene'")
    page.run("one.remove(); two.play()")
    page.until("two.playing")
    assert page.run("(async () => (await two.frame(3)).width)()") == 48


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "its header says": lambda data: data[:-1],
    "ends after 50 bytes": lambda data: data[:50],
    "more bytes than its header says": lambda data: data + bytes(70000),
    "its version is 2": lambda data: data[:8] + b"\2" + data[9:],
    "hash of its section": lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:],
    "hash of its header": lambda data: data[:26] + b"\1" + data[27:],
    "has a size of": lambda data: with_head(data, width=20_000, height=6000),
    "not a baked scene": lambda data: b"<!doctype html>" * 20,
}
"""Why a file is refused, and how it was broken."""


def test_a_damaged_file_leaves_the_poster(page: Page, golden: bytes, served: tuple[Path, str]) -> None:
    for count, (why, change) in enumerate(BROKEN.items()):
        (served[0] / f"bad{count}.sflow").write_bytes(change(golden))
        page.run(f"told.length = 0; it.src = 'bad{count}.sflow'")
        page.until("told.length")
        (event,) = page.run("told")
        assert event["name"] == "error" and why in event["why"] and event["what"] and event["fix"]
        assert page.run(f"{POSTER} !== null && {PHOTO} === null && {FRAME} === null && it.duration === 0")
    page.run("told.length = 0; it.src = 'falls.sflow'")
    page.until(f"told.length && it.playing && {FRAME}")
    assert page.run(f"{POSTER} === null")


def test_an_address_that_leads_nowhere(golden: bytes, opened: Opened) -> None:
    page = opened('<living-photo src="nowhere.sflow"></living-photo>')
    page.until("told.length")
    assert page.run("told[0].why") == "the server answered 404"
    page.run("told.length = 0; it.src = 'http://127.0.0.1:9/x.sflow'")
    page.until("told.length")
    assert page.run("told[0].why") == "the server gave no answer"
    page.run("it.src = 'falls.sflow'; it.src = ''")
    time.sleep(0.1)
    assert page.run("told.length === 1 && it.still === 'there is no scene'")
    rejected = page.run("it.frame(0).catch((error) => error.why)")
    assert rejected == "there is no scene"


def test_bytes_are_played_without_a_server(golden: bytes, opened: Opened) -> None:
    page = opened("<living-photo></living-photo>")
    page.run("fetch('falls.sflow').then((answer) => answer.arrayBuffer()).then((bytes) => it.load(bytes))")
    assert page.run("told[0].name") == "ready"
    page.until("it.playing")


def test_it_is_laid_out_like_a_picture(golden: bytes, opened: Opened) -> None:
    page = opened(
        '<living-photo src="falls.sflow" paused></living-photo>'
        '<living-photo src="falls.sflow" paused style="width:96px"></living-photo>'
        '<living-photo src="falls.sflow" paused style="width:90px;height:90px;object-fit:cover"></living-photo>'
    )
    page.until("told.length === 3")
    boxes = page.run(
        "[...document.querySelectorAll('living-photo')].map((one) => [one.offsetWidth, one.offsetHeight])"
    )
    assert boxes == [[48, 32], [96, 64], [90, 90]]
    fits = page.run(
        "[...document.querySelectorAll('living-photo')].map((one) => getComputedStyle("
        "one.shadowRoot.querySelector('[part=photo]')).objectFit)"
    )
    assert fits == ["contain", "contain", "cover"]


@pytest.fixture
def without_gpu(chromium_program: str, tmp_path: Path) -> Iterator[Chromium]:
    made = Chromium(chromium_program, tmp_path, "--disable-3d-apis")
    yield made
    made.close()


def test_without_webgl_the_photo_is_shown(
    golden: bytes, opened: Opened, without_gpu: Chromium, served: tuple[Path, str]
) -> None:
    address = opened('<living-photo src="falls.sflow"></living-photo>').run("location.href")
    page = without_gpu.page(address)
    page.until("told.length && it.still")
    assert page.run("told[0].name") == "ready"
    assert "this browser has no WebGL 2 here" in page.run("it.still")
    assert page.run(f"{PHOTO} !== null && {FRAME} === null && !it.playing") and not passes(page)
    assert "no WebGL 2" in page.run("it.frame(0).catch((error) => error.why)")
