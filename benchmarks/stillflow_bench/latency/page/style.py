# SPDX-License-Identifier: Apache-2.0
"""The page's style: the house's, and what a verdict, cards and plots need besides."""

from __future__ import annotations

from stillflow_bench.latency.page.palette import INVALID, VALID
from stillflow_export.page_parts import STYLE as HOUSE

STYLE = (
    HOUSE
    + f"""
:root{{--grid:#8883;--paper:#fff}}@media(prefers-color-scheme:dark){{:root{{--paper:#16181c}}}}
body{{background:var(--paper);max-width:70rem}}
.verdict{{border-left:.5rem solid;padding:.4rem 1rem;margin:1rem 0;border-radius:4px;background:var(--soft)}}
.verdict>b{{font-size:2.6rem;line-height:1.1;letter-spacing:.04em}}
.verdict ul{{margin:.3rem 0;padding-left:1.2rem}}
.good{{border-color:{VALID}}}.good>b{{color:{VALID}}}.verdict.bad{{border-color:{INVALID}}}.verdict.bad>b{{color:{INVALID}}}
.tag.bad{{background:{INVALID};font-weight:700}}.fail{{color:{INVALID}}}.pass{{color:{VALID}}}
.card{{flex:1 1 10.5rem}}.card b{{font-size:1.6rem}}
td small,th small{{color:var(--mute);font-weight:400;font-size:.88em}}th code{{font-size:1em}}
table.main tbody{{border-bottom:2px solid var(--line)}}table.main th[scope=row]{{font-weight:400;min-width:13rem}}
figure{{margin:1rem 0 1.6rem;break-inside:avoid}}figcaption{{font-size:.87rem;color:var(--mute)}}
.plot{{overflow-x:auto}}.plot svg{{width:100%;min-width:38rem;
stroke-linejoin:round;stroke-linecap:butt;font-family:system-ui,sans-serif}}
.plot svg text{{font-family:inherit}}
dt{{font-weight:600;margin-top:.4rem}}dd{{margin:0 0 0 1rem}}.key small{{margin-right:.8rem}}
@media(max-width:40rem){{.verdict>b{{font-size:2rem}}table.main th[scope=row]{{position:sticky;left:0;min-width:9rem;
max-width:10rem;background:var(--paper)}}}}
@media print{{:root{{color-scheme:light;--paper:#fff;--mute:#556}}.plot svg{{min-width:0}}
.wide{{overflow:visible}}h3,summary{{break-after:avoid}}
details details::details-content{{content-visibility:hidden;block-size:0}}
table{{font-size:.7rem}}table.main{{font-size:.62rem}}table.main th[scope=row]{{min-width:7rem}}
.tag,.verdict{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}}}
"""
)
