# SPDX-License-Identifier: Apache-2.0
"""Pieces of an HTML page: tables, tags, and figures in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stillflow_export.markup import safe
from stillflow_export.plot import COLOURS, OTHER

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--mute:#667}
@media(prefers-color-scheme:dark){:root{--mute:#9aa}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.4rem 0 .6rem;border-bottom:1px solid var(--line)}
h3{font-size:1.02rem;margin:1.4rem 0 .4rem}p{margin:.4rem 0}.mute{color:var(--mute)}small,.mute{font-size:.87rem}
nav{display:flex;flex-wrap:wrap;gap:.1rem 1rem}.cards{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}
.card{border:1px solid var(--line);border-radius:8px;padding:.5rem .9rem;min-width:7.5rem}
.card b{display:block;font-size:1.25rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.85rem;margin:.4rem 0}
th,td{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
span.one{white-space:nowrap}td.w{overflow-wrap:break-word}
code{font:.82rem ui-monospace,monospace;overflow-wrap:anywhere}
.bar{display:block;height:.55rem;border-radius:2px;min-width:1px;margin-top:.4rem}.b{width:9rem}
.tag{border-radius:4px;padding:0 .35rem;color:#fff;font-size:.78rem}
.pass{color:#218a4c;font-weight:600}.fail{color:#d22f2f;font-weight:700}
summary{cursor:pointer;margin:.4rem 0}svg{max-width:100%;height:auto;display:block}
@media print{details::details-content{content-visibility:visible;block-size:auto}
body{max-width:none;margin:0;font-size:10pt}nav{display:none}h2{break-after:avoid}tr{break-inside:avoid}}
"""


def legend(kinds: Iterable[str]) -> str:
    """A line of tags, to say which colour is which precision."""
    return "<p>" + " ".join(tag(kind) for kind in kinds) + "</p>"


def table(
    head: Sequence[str], body: Sequence[Sequence[str]], numbers: Sequence[int] = (), bar: int | None = None
) -> str:
    """A table; head cells are text, body cells are HTML that was escaped by whoever made it."""
    kinds = ["n" if i in numbers else "b" if i == bar else "w" for i in range(len(head))]
    cells = "".join(f'<th class="{kind}">{safe(text)}</th>' for kind, text in zip(kinds, head, strict=True))
    lines = [
        "<tr>" + "".join(f'<td class="{k}">{c}</td>' for k, c in zip(kinds, row, strict=True)) + "</tr>"
        for row in body
    ]
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def tag(kind: str) -> str:
    """A precision on its colour."""
    return f'<span class="tag" style="background:{COLOURS.get(kind, OTHER)}">{safe(kind)}</span>'


def cut(text: str, length: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def size_words(count: float) -> str:
    """A number of bytes in words."""
    return f"{count / 1e6:,.2f} MB" if count >= 1e4 else f"{count:,.0f} bytes"


def count_words(number: float) -> str:
    """A large number in words: "2.151 G"; a unit may follow."""
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.4g} {letter}"
    return f"{number:.4g} "
