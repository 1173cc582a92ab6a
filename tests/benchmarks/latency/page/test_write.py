# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.page import write, write_page
from stillflow_bench.latency.page.material import read_material
from stillflow_bench.latency.record import Host, Look, read_record, write_record
from stillflow_bench.latency.sample import Sample, read_samples, write_samples

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What is in a page: texts, tags with their attributes, and whether all that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def text(rich_run: Path) -> str:
    return write_page(rich_run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed(text: str) -> Page:
    return Page(text)


def test_all_that_is_opened_is_closed_and_no_id_stands_twice(parsed: Page) -> None:
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    used = {value for _, a in parsed.tags for k, value in a.items() if k == "xlink:href"}
    assert used
    assert {f"#{name}" for name in ids} >= used


def test_nothing_comes_from_elsewhere_and_nothing_runs(text: str, parsed: Page) -> None:
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert not {tag for tag, _ in parsed.tags} & {"link", "iframe", "object", "img", "base", "a", "image"}
    assert all(not name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert not re.search(r"https?:|url\((?!#)|@import|javascript:", text)


def test_every_block_is_named_and_so_is_every_gap(rich_run: Path, parsed: Page) -> None:
    said = "".join(parsed.texts)
    for one in read_record(rich_run).measured:
        assert one.block.name in said
        assert one.block.title in said
    assert "there is no GPU here" in said
    assert "2 failed" in said
    assert {"needs 459", "needs 4603"} <= set(parsed.texts)


def test_it_begins_with_the_verdict_and_the_figures_that_matter(text: str) -> None:
    verdict, cards, table = (
        text.index(mark) for mark in (">INVALID<", "class=cards", "<h2>Limit, ours, peers")
    )
    assert verdict < cards < table
    for head in (
        "How long queries take", "As the run went on", "One query by stage", "Under the roof", "What it depends on",
        "When queries arrive by chance", "Minute by minute", "The machine meanwhile", "Cold start by part",
        "Receipts of what was measured", "How to repeat it",
    ):  # fmt: skip
        assert f"<h2>{head}</h2>" in text


def test_it_is_small(text: str) -> None:
    assert len(text.encode()) < write.MOST_BYTES / 3


def test_a_run_with_little_in_it_has_no_empty_plots(make: Callable[..., Any]) -> None:
    made = make(telemetry=False)
    made.block("alone", "networks", "B2.call", [5.0, 6.0, 5.5])
    made.block("gone", "torch", "B2.call", [], missing="torch is not installed")
    text = write_page(made.write()).read_text(encoding="utf-8")
    assert write.page(read_material(made.folder)) == text  # the same for the same run
    heads = re.findall("<h2>(.*?)</h2>", text)
    assert "How long queries take" in heads
    assert not {"Under the roof", "Minute by minute", "The machine meanwhile", "What it depends on"} & set(
        heads
    )
    nothing = make()
    nothing.measured.clear()
    nothing.block("gone", "torch", "B2.call", [], missing="torch is not installed")
    assert "torch is not installed" in write_page(nothing.write()).read_text(encoding="utf-8")


BAD = "<script>alert(1)</script>\"'>&\x00\ud800 $x^2$ <b>"


def test_hostile_words_stay_words(make: Callable[..., Any], facts: Any) -> None:
    made = make(title=BAD.replace("\ud800", ""))
    evil = BAD.replace("\ud800", "").replace("\x00", "\x07")
    told = msgspec.structs.replace(
        facts,
        engine=evil,
        provider=evil,
        fallback=evil,
        receipts={evil: {"gate": evil}},
        notes={"spans": {evil: evil}},
    )
    for name in ("one", "two"):
        made.block(
            name, "cold", "B5.cold", [3.0, 4.0, 5.0], title=evil, group="g", facts=told, spans={evil: 0.2}
        )
    made.block("three", "cold", "B5.cold", [], missing=evil)
    folder = made.write()
    record = read_record(folder)
    host = Host(evil, evil, 2, 4.0, evil, evil, {evil: evil}, {evil: evil})
    look = Look(at=0, gpu={evil: {evil: evil}})
    write_record(folder, msgspec.structs.replace(record, host=host, before=look, after=look))
    text = write_page(folder).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.tags}
    assert "\x07" not in text
    assert text.count("&lt;script&gt;alert(1)") > 10


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("issued", "done", "drawn"), [(5, 5, False), (9, 5, False), (0, 2**60, True)])
def test_times_that_no_clock_shows_are_told_and_not_drawn(
    issued: int, done: int, drawn: bool, make: Callable[..., Any]
) -> None:
    made = make(telemetry=False)
    spans = {"stage a": 0.5, "B2.call": 0.1, "import": 0.2}
    for name, kind, boundary in (
        ("one", "next", "B3.next"),
        ("two", "cold", "B5.cold"),
        ("raw", "copy", "B3.next"),
    ):
        made.block(name, kind, boundary, [1.0] * 9, spans=spans, group="g")
        samples = [Sample(k, "measured", 0, issued, done, spans={"stage a": done - issued}) for k in range(9)]
        write_samples(made.folder / "samples" / f"{name}.jsonl", samples)
    text = write_page(made.write()).read_text(encoding="utf-8")
    assert ("<svg" in text) == drawn
    assert all(f"<code>{name}</code>" in text for name in ("one", "two", "raw"))
    assert ">INVALID<" in text


def test_a_long_run_is_drawn_with_fewer_points_and_summed_up_from_all(make: Callable[..., Any]) -> None:
    made = make(telemetry=False)
    times = [3.0 + (k % 1000) / 1000 for k in range(20_000)]
    times[12_345] = 77.0
    made.block("long", "next", "B3.next", times)
    folder = made.write()
    text = write_page(folder).read_text(encoding="utf-8")
    assert len(text.encode()) < 400_000
    assert "Drawn with at most 800 points" in text
    assert "20,000" in text
    assert ">77<" in text  # the slowest, in the table
    assert len(read_samples(folder / "samples" / "long.jsonl")) == 20_003


def test_a_page_that_is_too_large_is_drawn_with_fewer_points_and_at_last_refused(
    rich_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def page(_: object, points: int) -> str:
        asked.append(points)
        return "x" * (10 * points)

    monkeypatch.setattr(write, "page", page)
    monkeypatch.setattr(write, "MOST_BYTES", 2000)
    written = write_page(rich_run, tmp_path / "new" / "page.html")
    assert written.stat().st_size == 1500
    assert asked == [800, 400, 150]
    monkeypatch.setattr(write, "MOST_BYTES", 100)
    with pytest.raises(StillflowError, match="may have 100"):
        write_page(rich_run, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_without_matplotlib_it_says_how_to_get_it(rich_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(StillflowError, match=r"stillflow\[bench\]"):
        write_page(rich_run)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="stillflow-bench run"):
        write_page(tmp_path)
