# SPDX-License-Identifier: Apache-2.0
"""The page that plays a scene by itself, as text; tests/runtime/browser/test_page_plays.py opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stillflow.baked import page as pages
from stillflow.baked.layout import Kind
from stillflow.baked.page import bundled, component_folder, page, write_page
from stillflow.errors import StillflowError

from .damage import with_piece

MARKUP = '</script><img src=x onerror="alert(1)">'


class Elements(HTMLParser):
    """Start tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style") and data.strip():
            self.inside.append(data)


def telling(golden: bytes, **about: str) -> bytes:
    data = json.dumps(about).encode()
    return with_piece(golden, Kind.ABOUT, data, shape=(1, 1, len(data)), decoded=len(data))


def test_the_page_holds_the_scene_and_names_only_itself(golden: bytes) -> None:
    text = page(golden, "falls")
    found = Elements(text)
    names = [tag for tag, _ in found.tags]
    assert names.count("script") == 2 and names.count("living-photo") == 1 and names.count("style") == 1
    style, scene, script = found.inside
    assert base64.b64decode(scene) == golden
    (policy,) = [a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a]
    assert policy is not None and policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for piece in (style, script):
        digest = base64.b64encode(hashlib.sha256(piece.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    addresses = [a[name] or "" for _, a in found.tags for name in ("src", "href") if name in a]
    assert len(addresses) == 1 and addresses[0].startswith("data:image/jpeg;base64,")
    assert "<title>Noise that falls</title>" in text
    assert "not filmed" in text


def test_what_a_scene_says_is_text(golden: bytes) -> None:
    plain, said = page(golden, "falls"), page(telling(golden, alt=MARKUP, credit=MARKUP, note=MARKUP), MARKUP)
    assert [tag for tag, _ in Elements(said).tags] == [tag for tag, _ in Elements(plain).tags]
    assert MARKUP not in said and "&lt;img src=x" in said
    (picture,) = [a for tag, a in Elements(said).tags if tag == "img"]
    assert picture["alt"] == MARKUP
    numbers = page(with_piece(golden, Kind.ABOUT, b'{"alt": 3}'.ljust(155)), "it & that")
    assert "<title>it &amp; that</title>" in numbers


def test_all_modules_become_one(source_tree: Path) -> None:
    text = bundled()
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    assert "</script" not in text and "<!--" not in text
    for path in (source_tree / "runtime" / "browser").glob("*.js"):
        classes = re.findall(r"^(?:export )?class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(text.count(f"\nclass {name} ") == 1 for name in classes), path.name
    declared = re.findall(r"^(?:async )?(?:function|class|const) (\w+)", text, re.MULTILINE)
    assert len(declared) > 60 and len(set(declared)) == len(declared), "a name is there twice"


def test_a_page_is_written_when_it_is_complete(golden: bytes, tmp_path: Path) -> None:
    path = tmp_path / "falls.html"
    assert write_page(golden, path) == path.stat().st_size
    assert path.read_text(encoding="utf-8") == page(golden, "falls")
    with pytest.raises(StillflowError):
        write_page(golden[:-1], tmp_path / "broken.html")
    assert [found.name for found in tmp_path.iterdir()] == ["falls.html"]


def test_a_component_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, golden: bytes) -> None:
    assert (component_folder() / "living-photo.js").is_file()
    monkeypatch.setattr(pages, "ENTRY", "nowhere.js")
    with pytest.raises(StillflowError, match="the web component is missing"):
        page(golden, "falls")
