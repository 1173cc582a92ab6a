# SPDX-License-Identifier: Apache-2.0
"""What stands below the plots: the cold start by part, receipts, checks, settings, how to repeat, words explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from stillflow_bench.latency.boundary import BOUNDARIES
from stillflow_bench.latency.page.labels import SCENARIOS, boundary_name, figure, meaning
from stillflow_bench.latency.page.main_tables import NONE
from stillflow_bench.latency.page.material import Material, Shown
from stillflow_bench.latency.page.palette import WORDS
from stillflow_bench.latency.percentile import CLAIMS, CONFIDENCE, needed
from stillflow_bench.latency.record import RESULT, TELEMETRY, sample_path
from stillflow_bench.latency.target import ROLES
from stillflow_export.markup import safe
from stillflow_export.page_parts import cut, table

MOST_VALUE = 160
"""Letters of a setting; result.json has it whole."""

LONG = ("receipts", "inputs", "photos", "notes")
"""Of a target's facts: those that stand elsewhere, or only in result.json."""


def cold_tables(material: Material) -> str:
    """Cold starts by part: medians and the slowest."""
    cold = (one for one in material.drawable if one.block.target.boundary == "B5.cold")
    return "".join(f"<h3>{safe(one.block.title)}</h3>{_cold(one)}" for one in cold)


def _cold(one: Shown) -> str:
    told = one.measured.facts.notes.get("spans")
    meanings: Mapping[str, Any] = told if isinstance(told, dict) else {}
    whole = float(one.latencies.mean())
    rows = []
    for name, spent in one.spans.items():
        if name.startswith("B"):
            continue
        words = f"<br><small>{safe(str(meanings[name]))}</small>" if name in meanings else ""
        share = spent.sum() / len(one.latencies) / whole
        cells = [
            f"{len(spent):,}",
            figure(float(np.median(spent))),
            figure(float(spent.max())),
            f"{share:.0%}",
        ]
        rows.append([safe(name) + words, *cells])
    total = [
        f"{len(one.latencies):,}",
        f"<b>{figure(one.median)}</b>",
        figure(float(one.latencies.max())),
        "100%",
    ]
    rows.append(["<b>whole</b>", *total])
    head = ["part", "processes", "median, ms", "slowest, ms", "share of the mean"]
    return table(head, rows, numbers=(1, 2, 3, 4))


def receipts(material: Material) -> str:
    """The gates' receipts of the very engines measured, and the hashes of what was loaded."""
    rows = []
    seen = set()
    for one in material.answered:
        facts = one.measured.facts
        for name, told in facts.receipts.items():
            said: Mapping[str, Any] = told if isinstance(told, dict) else {"receipt": told}
            loaded = facts.hashes.get(name, "")
            row = [
                safe(str(said.get("engine", facts.engine))),
                safe(name),
                safe(str(said.get("precision", facts.precision.get(name, "")))),
                safe(cut(str(said.get("gate", said.get("file", NONE))), MOST_VALUE)),
                _passed(said.get("passed")),
                f"<code>{safe(loaded[:16])}</code>",
                f"<code>{safe(str(said.get('onnx_sha256', ''))[:16])}</code>",
            ]
            if tuple(row) not in seen:
                seen.add(tuple(row))
                rows.append(row)
    if not rows:
        return "<p>No target of this run tells of a gate's receipt.</p>"
    head = [
        "engine",
        "graph",
        "precision",
        "receipt",
        "passed",
        "SHA-256 of what was loaded",
        "of what was judged",
    ]
    return table(head, rows)


def _passed(value: object) -> str:
    if value is True:
        return "<span class=pass>yes</span>"
    return "<span class=fail>no</span>" if value is False else "not told"


def checks(material: Material) -> str:
    """Every check of the judge, those that speak against the run first."""
    found = sorted(material.verdict.checks, key=lambda check: (not check.condemns, not check.warns))
    rows = []
    for check in found:
        if check.condemns:
            mark = "<span class=fail>INVALID</span>"
        elif check.warns:
            mark = "<b>warning</b>"
        else:
            mark = {True: "<span class=pass>holds</span>", False: "note", None: "not told"}[check.ok]
        values = [
            NONE if value is None else safe(str(value)) for value in (check.need, check.have, check.limit)
        ]
        rows.append(
            [
                mark,
                safe(check.id),
                f"<span class=one><code>{safe(check.block) or 'run'}</code></span>",
                safe(check.why),
                *values,
            ]
        )
    return table(["", "check", "of", "what was found", "need", "have", "limit"], rows)


def settings(material: Material) -> str:
    """Every block's settings, each with where it came from, and what its target said of itself ("found")."""
    plan = material.record.plan
    parts = []
    for one in material.shown:
        block = one.block
        told: dict[str, Any] = {
            "role": block.role,
            "group": block.group,
            "claims": list(block.claims),
            **_flat(msgspec.to_builtins(block.target)),
            **msgspec.to_builtins(block.load),
        }
        rows = [
            [
                safe(name),
                f"<code>{safe(cut(str(value), MOST_VALUE))}</code>",
                safe(_source(plan.sources, name)),
            ]
            for name, value in told.items()
        ]
        rows += [
            [safe(name), f"<code>{safe(cut(str(value), MOST_VALUE))}</code>", "found"]
            for name, value in (
                *msgspec.structs.asdict(one.measured.facts).items(),
                *one.measured.facts.notes.items(),
            )
            if value and name not in LONG
        ]
        summary = f"<code>{safe(block.name)}</code> {safe(block.title)}"
        parts.append(
            f"<details><summary>{summary}</summary>{table(['setting', 'value', 'from'], rows)}</details>"
        )
    around = "; ".join(name for name, source in plan.sources.items() if source == "environment")
    also = f" Environment: <code>{safe(around)}</code>." if around else ""
    return f"<p>Plan <b>{safe(plan.name)}</b>, seed {plan.seed}.{also}</p>{''.join(parts)}"


def _flat(target: Mapping[str, Any]) -> dict[str, Any]:
    """A target's settings, those of its subject and its options among them."""
    inner = {f"subject.{name}": value for name, value in target["subject"].items()}
    inner |= {f"option {name}": value for name, value in target["options"].items()}
    return {**{k: v for k, v in target.items() if k not in ("subject", "options")}, **inner}


def _source(sources: Mapping[str, str], name: str) -> str:
    """Where a setting came from: what a person or a preset said, and else the plan."""
    said = "subject.size" if name in ("subject.width", "subject.height") else name
    return sources.get(said, "plan")


def repeat(material: Material) -> str:
    """Which command measures it again, and which reads it again."""
    folder = safe(material.folder.name)
    commit = safe(material.record.tool.commit.rstrip("+"))
    return (
        f"<p>On a machine that does nothing else, at commit <code>{commit}</code>: "
        f"<code>{safe(material.record.tool.command)}</code></p>"
        f"<p>Judge these files again, with other limits if you like: <code>stillflow-bench judge {folder}</code>. "
        f"Make this page again: <code>stillflow-bench report {folder}</code>.</p>"
    )


def raw_samples(material: Material) -> str:
    """Where the samples lie, with the hash of their lines."""
    rows = []
    for one in material.shown:
        if one.measured.missing:
            continue
        path = sample_path(material.folder, one.block.name)
        place = f"{path.parent.name}/{path.name}"
        rows.append(
            [
                f"<code>{safe(place)}</code>",
                f"{one.measured.samples:,}",
                f"<code>{safe(one.measured.sha256)}</code>",
            ]
        )
    words = (
        f"<p>In the run's folder: <code>{RESULT}</code>, <code>{TELEMETRY}</code>, the gates' receipts, and a "
        "line of JSON for each query, warm-up and audit included. Times are nanoseconds. Nothing was trimmed. To look "
        f"at the machine meanwhile took {figure(material.record.looking)} s of a processor.</p>"
    )
    return words + table(["file", "lines", "SHA-256 of the lines"], rows, numbers=(1,))


def definitions(material: Material) -> str:
    """What words mean: boundaries, scenarios, roles, percentiles."""
    used = {one.block.load.scenario for one in material.shown}
    lists = [
        _list("Boundaries: from where to where", {boundary_name(name): meaning(name) for name in BOUNDARIES}),
        _list(
            "Scenarios: how queries come", {name: words for name, words in SCENARIOS.items() if name in used}
        ),
        _list("Roles", {role: WORDS[role] for role in ROLES}),
    ]
    least = ", ".join(f"{needed(rank)} for p{rank:g}" for rank in CLAIMS)
    words = (
        "<p><b>Percentiles</b> are nearest ranks: samples that were measured, never values in between. A percentile is "
        f"told only where the sample is large enough at {CONFIDENCE:.0%} confidence: {least}. ≤ is what the true "
        f"percentile does not exceed at {CONFIDENCE:.0%} confidence, whatever the distribution; … is the median's 95 % "
        "interval. <b>Ratios</b> are of medians, with 95 % intervals where both took turns in five rounds or more. "
        "<b>Memory</b> is the peak of the block's own process; <b>CPU s</b> its processor time; <b>J</b> the energy of "
        "the whole package or board meanwhile, others' share and idling included.</p>"
    )
    return "".join(lists) + words


def _list(title: str, words: Mapping[str, str]) -> str:
    lines = "".join(f"<dt>{safe(name)}</dt><dd>{safe(said)}</dd>" for name, said in words.items())
    return f"<h3>{safe(title)}</h3><dl>{lines}</dl>"
