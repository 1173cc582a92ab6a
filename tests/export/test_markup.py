# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from stillflow_export.markup import safe


@given(st.text())
def test_safe_text_holds_no_mark_and_reads_back(text: str) -> None:
    made = safe(text)
    assert not set("<>\"'") & set(made)
    made.encode("utf-8")
    assert len(unescape(made)) == len(text)


def test_text_that_turns_around_or_controls_is_replaced() -> None:
    assert safe("a\u202eb\x00c\ud800") == "a\ufffdb\ufffdc\ufffd"
