# SPDX-License-Identifier: Apache-2.0
"""One browser for all tests of the web component, and a server of the pages, scripts and scenes that they name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .chromium import Chromium, Page, program


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # tests write other bytes under a name that was served
        super().end_headers()


@pytest.fixture(scope="session")
def chromium_program() -> str:
    name = program()
    if name is None:
        pytest.skip("there is no Chromium here")
    return name


@pytest.fixture(scope="session")
def browser(chromium_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    made = Chromium(chromium_program, tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def served(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder and the address it has; the component's modules lie under it as ``component``."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "component").symlink_to(source_tree / "runtime" / "browser", target_is_directory=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


HEAD = '<!doctype html><meta charset="utf-8"><script type="module" src="component/living-photo.js"></script>'

Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Chromium, served: tuple[Path, str]) -> Iterator[Opened]:
    """Open a page with this body; ``it`` is its first living-photo, ``told`` holds the events of all."""
    folder, address = served
    pages = []

    def open_page(body: str, **size: int) -> Page:
        name = f"page{len(list(folder.glob('page*')))}.html"
        (folder / name).write_text(f"{HEAD}{LISTEN}<body>{body}", encoding="utf-8")
        pages.append(browser.page(f"{address}/{name}", **size))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


LISTEN = """<script>
const told = [];
for (const name of ["ready", "error"]) addEventListener(name, (event) => {
  if (event.target.localName === "living-photo") told.push({name, ...event.detail});
}, true);
addEventListener("DOMContentLoaded", () => { globalThis.it = document.querySelector("living-photo"); });
globalThis.bytesOf = async (t) => {
  const {data} = await it.frame(t);
  let text = "";
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return btoa(text);
};
</script>"""
"""Events do not bubble, but all are seen on their way down."""
