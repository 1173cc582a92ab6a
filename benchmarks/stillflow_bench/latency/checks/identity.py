# SPDX-License-Identifier: Apache-2.0
"""Was that measured which was meant: engine, device, precision, and the very file that a gate judged?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stillflow_bench.latency.checks.check import Check, Severity
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.limits import Limits

GPU_WORDS = ("cuda", "tensorrt", "rtx", "gpu", "rocm")
"""In the name of a provider that computes on a GPU."""


def check_provider(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """What computes is what was asked for; nothing fell back."""
    for block in evidence.blocks:
        facts = block.measured.facts
        if not (block.takes_photos or facts.engine or facts.provider or facts.fallback):
            continue
        ok, why = _provider(block)
        yield Check(id="provider-is-requested", block=block.name, ok=ok, why=why)


def _provider(block: BlockEvidence) -> tuple[bool | None, str]:
    facts, subject = block.measured.facts, block.block.target.subject
    says = f"{facts.engine or 'nothing'} on {facts.device or 'nowhere'} ({facts.provider or 'no provider'})"
    if facts.fallback:
        return False, f"it fell back: {facts.fallback}"
    # Frames are geometry: where no network has part in a query, no engine has.
    geometry = block.block.target.boundary == "B3.next" and not _graphs(facts.hashes)
    asked = subject.engine
    is_asked = asked in ("auto", facts.engine) or (asked == "rtx" and facts.engine == "tensorrt_rtx")
    if block.ours and not geometry and not is_asked:
        return False, f"{asked} was asked for, and {says} computed"
    if not facts.device:
        return None, f"it does not say where it computes: {says}"
    on_gpu = facts.device.lower().startswith("cuda")
    if subject.device != "auto" and on_gpu != subject.device.startswith("cuda"):
        return False, f"{subject.device} was asked for, and {says} computed"
    if geometry:
        return True, f"frames of {facts.frames or facts.engine}, on {facts.device}"
    if not (facts.engine and facts.provider):
        return None, f"it does not say what computes: {says}"
    if any(word in facts.provider.lower() for word in GPU_WORDS) != on_gpu:
        return False, f"{facts.provider} is not what computes on {facts.device}"
    return True, says


def check_precision(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Every graph has the precision that was asked for."""
    for block in evidence.blocks:
        facts, asked = block.measured.facts, block.block.target.subject.precision
        if asked == "auto" or not (block.takes_photos or facts.precision):
            continue
        if block.block.target.boundary == "B3.next" and not _graphs(facts.hashes):
            continue
        other = {graph: have for graph, have in facts.precision.items() if have != asked}
        told = ", ".join(f"{graph} {have}" for graph, have in sorted((other or facts.precision).items()))
        ok = None if not facts.precision else not other
        yield Check(
            id="precision-as-asked",
            block=block.name,
            ok=ok,
            why=f"{asked} was asked for; {told or 'it does not say what it has'}",
            need=asked,
            have=told,
        )


def check_receipt(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """A gate has judged the very files that were measured, and passed them."""
    for block in evidence.blocks:
        if not block.takes_photos:
            continue
        facts = block.measured.facts
        graphs = _graphs(facts.hashes)
        if not graphs and block.block.target.boundary == "B3.next":
            continue
        severity: Severity = "invalid" if block.ours else "warning"
        faults = [fault for graph in graphs if (fault := _fault(graph, facts.hashes[graph], facts.receipts))]
        ok = bool(graphs) and not faults
        why = f"{' and '.join(graphs)}: a gate passed the very files that were measured"
        if not graphs:
            why = "it does not say which files were measured"
        elif faults:
            why = "; ".join(faults)
        yield Check(id="accuracy-receipt-matches-engine", block=block.name, ok=ok, why=why, severity=severity)


def _graphs(hashes: Mapping[str, str]) -> list[str]:
    return sorted(name for name in hashes if name != "bundle")


def _fault(graph: str, sha256: str, receipts: Mapping[str, Any]) -> str:
    """Why no receipt speaks for a graph's file; "" where one does and none speaks against it."""
    about = [one for one in map(_unwrapped, receipts.values()) if sha256 and _is_about(one, sha256)]
    if not about:
        return f"{graph}: no receipt is about the file that was measured"
    failed = [one for one in about if one.get("passed") is not True]
    return f"{graph}: gate {str(failed[0].get('gate', '?'))[:20]} did not pass its file" if failed else ""


def _unwrapped(receipt: Any) -> dict[str, Any]:
    """Beside engines in the cache a receipt lies in another one."""
    if isinstance(receipt, dict) and isinstance(receipt.get("receipt"), dict):
        receipt = receipt["receipt"]
    return receipt if isinstance(receipt, dict) else {}


def _is_about(receipt: Mapping[str, Any], sha256: str) -> bool:
    return sha256 in (receipt.get("onnx_sha256"), receipt.get("engine_sha256"))


def check_source_tree(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """The commit says what measured."""
    commit = evidence.record.tool.commit
    if commit in ("", "unknown"):
        yield Check(
            id="source-tree",
            ok=None,
            why="nobody knows which commit measured: there was no checkout",
            severity="warning",
        )
    elif commit.endswith("+"):
        yield Check(
            id="source-tree",
            ok=False,
            why=f"files differed from commit {commit[:-1]}",
            severity="note",
            have=commit,
        )
    else:
        yield Check(id="source-tree", ok=True, why=f"commit {commit}", severity="note", have=commit)
