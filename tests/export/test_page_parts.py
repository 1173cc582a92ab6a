# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_export.page_parts import count_words, cut, legend, size_words, table, tag


def test_words_for_figures() -> None:
    assert (size_words(9_140_216), size_words(512)) == ("9.14 MB", "512 bytes")
    assert (count_words(2_150_768_640), count_words(12), count_words(3.2e12)) == ("2.151 G", "12 ", "3.2 T")
    assert cut("abcdef", 4) == "abc\u2026"


def test_tables_and_tags() -> None:
    made = table(("<a>", "b"), [["1", tag("fp16<")]], numbers=(0,))
    assert '<th class="n">&lt;a&gt;</th>' in made
    assert "fp16&lt;" in made
    assert legend(["fp32"]).count("tag") == 1
