# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

from stillflow_bench.latency.page.style import STYLE


def test_rules_are_closed_and_nothing_is_fetched() -> None:
    assert STYLE.count("{") == STYLE.count("}")
    assert "{{" not in STYLE.replace("){:root{", "")
    assert not re.search(r"url\(|@import|http|</", STYLE)


def test_it_knows_dark_paper_print_and_phones() -> None:
    for rule in ("prefers-color-scheme:dark", "@media print", "@media(max-width"):
        assert rule in STYLE
    assert set(re.findall(r"var\((--\w+)\)", STYLE)) <= set(re.findall(r"(--\w+):", STYLE))
