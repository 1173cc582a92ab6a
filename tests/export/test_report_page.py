# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from stillflow.bundle import Bundle
from stillflow_export.engine_layers import EngineLayer, EngineReport
from stillflow_export.report import BundleReport, gather
from stillflow_export.report_page import page

from .engine_entries import entry_of

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Checks that tags are balanced, and keeps what a browser would show, fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    # Nothing is fetched, nothing is run: no such tags, no handlers, and links lead within the page.
    assert not reader.tags & {"script", "iframe", "object", "embed", "link", "img", "form", "base"}
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("src", "srcset")]
    links = {value for name, value in reader.attributes if name == "href"}
    assert all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= set(reader.ids)
    return reader


@pytest.fixture(scope="module")
def golden(source_tree: Path) -> BundleReport:
    return gather(Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.0"))


@pytest.fixture(scope="module")
def edge(source_tree: Path) -> BundleReport:
    return gather(Bundle.open(source_tree / "engines" / "stillflow_engines" / "edge"))


def test_the_default_bundles_page_says_what_there_is(edge: BundleReport) -> None:
    text = page(edge)
    assert len(text) < 2_000_000
    shown = read(text).text
    for graph in edge.graphs:
        cost = graph.variants[0].cost
        assert cost is not None
        assert f"{cost.parameters:,}" in shown
        assert all(layer.name in shown for layer in cost.layers)
    for words in ("Gates", "passed", "trained from nothing by", "Apache-2.0", "velocity_guided"):
        assert words in shown
    assert all(file.sha256 in shown for file in edge.manifest.files)


def test_the_golden_bundles_page(golden: BundleReport) -> None:
    shown = read(page(golden)).text
    assert "measured at 320x192" in shown
    assert "No engine of these graphs was found" in shown


def test_a_failed_gate_is_shown_as_failed(golden: BundleReport) -> None:
    rows = tuple(replace(row, passed=False) for row in golden.gates[:1]) + golden.gates[1:]
    text = page(replace(golden, gates=rows))
    assert read(text).text.count("FAILED") == 1
    assert "3 of 4 passed" in text


EVIL = "</td></table><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x00\ud800\"'&"


def test_hostile_texts_stay_texts(golden: BundleReport) -> None:
    manifest = golden.manifest
    graph = msgspec.structs.replace(
        manifest.graphs[0],
        what=EVIL,
        inputs=tuple(
            msgspec.structs.replace(t, meaning=EVIL, channels=(EVIL,)) for t in manifest.graphs[0].inputs
        ),
    )
    cost = golden.graphs[0].variants[0].cost
    assert cost is not None
    layers = tuple(replace(layer, name=EVIL, operator=EVIL, precision=EVIL) for layer in cost.layers)
    evil = replace(cost, layers=layers, uncounted={EVIL: 1}, unknown=(EVIL,))
    variant = replace(golden.graphs[0].variants[0], cost=evil, problem=EVIL, file=EVIL, kept={EVIL: EVIL})
    entry = msgspec.structs.replace(entry_of("0" * 64), created=EVIL, inspected=EVIL, profile=EVIL)
    engine = EngineReport(entry, {EVIL: 1}, (EngineLayer(EVIL, EVIL, EVIL, (1,)),), EVIL)
    report = replace(
        golden,
        manifest=msgspec.structs.replace(manifest, what=EVIL, creator=EVIL, outputs={EVIL: EVIL}),
        graphs=(replace(golden.graphs[0], graph=graph, variants=(variant, variant)),),
        gates=tuple(
            replace(row, what=EVIL, output=EVIL, sample=EVIL, tolerance=EVIL) for row in golden.gates
        ),
        receipts=tuple(replace(r, facts=((EVIL, EVIL),)) for r in golden.receipts),
        engines=(engine, replace(engine, problem=EVIL)),
    )
    shown = read(page(report)).text
    assert "<script>alert(1)</script>" in shown
    assert "\u202e" not in shown
    assert "\x00" not in shown


def test_engines_are_listed_with_their_layers(golden: BundleReport) -> None:
    layers = tuple(EngineLayer(f"conv{i}", "CONVOLUTION", "float16", (1, 6, -1, -1)) for i in range(3))
    engine = EngineReport(entry_of("0" * 64), {"CONVOLUTION float16": 3}, layers, "passed")
    shown = read(page(replace(golden, engines=(engine,)))).text
    for words in (
        "conv2",
        "CONVOLUTION float16 3",
        "gate C: passed",
        "profile rtx-4090",
        "compute capability 8.9",
    ):
        assert words in shown


def test_pages_of_long_graphs_stay_small(golden: BundleReport) -> None:
    cost = golden.graphs[0].variants[0].cost
    assert cost is not None
    long = replace(cost, layers=cost.layers * 1000)
    variant = replace(golden.graphs[0].variants[0], cost=long)
    text = page(replace(golden, graphs=(replace(golden.graphs[0], variants=(variant,)),)))
    assert len(text) < 2_000_000
    assert "more layers, not listed" in read(text).text
