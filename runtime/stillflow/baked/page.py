# SPDX-License-Identifier: Apache-2.0
"""A page that plays a baked scene by itself: one file that a double click opens, without a server.

The web component's modules and the scene lie in the page. A Content-Security-Policy names the page's own script and
style by their hashes and forbids all else: nothing is fetched, whatever the texts in the scene are.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from stillflow.baked.reader import decode_baked
from stillflow.baked.writer import save
from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray

ENTRY = "living-photo.js"
"""The module that the others lead to."""

POSTER_SIDE, POSTER_QUALITY = 960, 80
"""Longest side in pixels and JPEG quality of the picture that is there before the scene, and without scripts."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|class|const)", re.MULTILINE)

STYLE = """
:root { color-scheme: dark; }
body { margin: 0; min-height: 100vh; display: grid; grid-template-rows: 1fr auto; background: #111; color: #ddd;
  font: 15px/1.5 system-ui, sans-serif; }
main { display: grid; place-items: center; padding: 1rem 1rem 0; min-width: 0; }
living-photo { display: block; width: min(100%, WIDTHpx, calc((100vh - 8rem) * WIDTH / HEIGHT));
  aspect-ratio: WIDTH / HEIGHT; }
living-photo > img { display: block; width: 100%; height: 100%; }
living-photo::part(credit) { display: none; }
footer { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: center; padding: 0.75rem 1rem; }
footer p { margin: 0; flex: 1 1 16rem; overflow-wrap: anywhere; }
footer small { display: block; color: #aaa; }
button { font: inherit; min-width: 6rem; min-height: 2.75rem; color: inherit; background: #2a2a2a;
  border: 1px solid #666; border-radius: 0.4rem; cursor: pointer; }
button:focus-visible { outline: 2px solid #fff; outline-offset: 2px; }
[hidden] { display: none; }
"""

SCRIPT = """
const photo = document.querySelector("living-photo"), button = document.querySelector("button");
const said = document.querySelector("output"), scene = document.getElementById("scene");
const label = () => { button.textContent = photo.paused ? "Play" : "Pause"; };
button.addEventListener("click", () => {
  photo.paused = !photo.paused;
  label();
});
photo.addEventListener("ready", () => {
  label();
  button.hidden = photo.still !== "";
  said.textContent = photo.still && `It stands still: ${photo.still}.`;
});
photo.addEventListener("error", ({ detail }) => {
  said.textContent = `${detail.what}: ${detail.why}. ${detail.fix}.`;
});
photo.load(Uint8Array.from(atob(scene.textContent), (letter) => letter.charCodeAt(0)));
scene.remove();
"""


def write_page(data: bytes, path: str | os.PathLike[str]) -> int:
    """Write the page of a scene. The file appears when it is complete.

    Args:
        data: the bytes of a .sflow file.
        path: of the page; an existing one is replaced.

    Returns:
        Bytes written.

    Raises:
        StillflowError: the bytes are no scene, the component's modules are missing, or it cannot be written there.
    """
    return save(page(data, Path(path).stem).encode(), path)


def page(data: bytes, title: str) -> str:
    """The page of a scene as text.

    Args:
        data: the bytes of a .sflow file.
        title: of the page, where the scene has no ``alt``.

    Raises:
        StillflowError: as ``write_page``.
    """
    baked = decode_baked(data)
    alt, credit, note = (_text(baked.about, name) for name in ("alt", "credit", "note"))
    height, width = baked.scene.arrays.matte.shape
    script, style = bundled() + SCRIPT, STYLE.replace("WIDTH", str(width)).replace("HEIGHT", str(height))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    poster = _poster(baked.scene.arrays.photo)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="stillflow">
<title>{escape(alt or title)}</title>
<style>{style}</style>
<main>
<living-photo><img alt="{escape(alt)}" src="{poster}"></living-photo>
</main>
<footer>
<button type="button" hidden>Pause</button>
<p>{escape(credit)} <small>{escape(note)} <output></output><noscript>It moves where scripts run.</noscript></small></p>
</footer>
<script type="application/octet-stream" id="scene">{base64.b64encode(data).decode()}</script>
<script type="module">{script}</script>
</html>
"""


def component_folder() -> Path:
    """Where the web component's modules lie: in the installed package, or in a source checkout.

    Raises:
        StillflowError: in neither.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_browser", package.parent / "browser"):
        if (folder / ENTRY).is_file():
            return folder
    raise StillflowError(
        "cannot write a page",
        f"the web component is missing: there is no {ENTRY} in {package / '_browser'}",
        "reinstall the stillflow package, or bake without --html",
    )


def bundled() -> str:
    """All modules of the web component as the text of one: each after those it needs, without imports and exports.

    Raises:
        StillflowError: one is missing.
    """
    folder = component_folder()
    found: dict[str, str] = {}

    def take(name: str) -> None:
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except OSError as error:
            raise StillflowError(
                "cannot write a page",
                f"the web component's {name} is missing",
                "reinstall the stillflow package",
            ) from error
        for needed in _IMPORT.findall(text):
            if needed not in found:
                take(needed)
        found[name] = _EXPORT.sub("", _IMPORT.sub("", text))

    take(ENTRY)
    return "".join(found.values())


def _text(about: Mapping[str, Any], name: str) -> str:
    said = about.get(name)
    return said if isinstance(said, str) else ""


def _hash(text: str) -> str:
    """The source expression of a Content-Security-Policy for an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _poster(photo: ByteArray) -> str:
    """A small JPEG of the photo as an address."""
    from PIL import Image

    image, file = Image.fromarray(photo), io.BytesIO()
    image.thumbnail((POSTER_SIDE, POSTER_SIDE))
    image.save(file, "JPEG", quality=POSTER_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
