# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow_export.bundle_copy import copy_graphs
from stillflow_export.bundle_parts import Parts


def test_a_graph_comes_with_all_that_belongs_to_it_and_nothing_else(tmp_path: Path) -> None:
    edge = Bundle.open("edge")
    parts = Parts(tmp_path)
    copied = copy_graphs(parts, edge, ["flow"])
    wanted = {v.file for v in edge.graph("flow").all_variants}
    wanted |= {v.file for v in edge.manifest.vectors if v.graph == "flow"}
    wanted |= {r.file for r in edge.manifest.receipts if r.graph == "flow"}
    wanted |= {licence.file for licence in edge.manifest.licences if licence.file}
    assert set(parts.files) == wanted == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert all((tmp_path / path).read_bytes() == edge.read(path) for path in wanted)
    assert copied.graphs == (edge.graph("flow"),)
    assert copied.training["flow"]["network"] == "flow"
    assert copied.sizes == edge.manifest.sizes
    assert {w.graph for w in copied.weights} == {v.graph for v in copied.vectors} == {"flow"}
    for ours, theirs in zip(copied.licences, edge.manifest.licences, strict=True):
        assert ours.covers == f"the graphs flow, taken from the bundle edge: {theirs.covers}"
        assert (ours.spdx, ours.file) == (theirs.spdx, theirs.file)


def test_a_graph_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="no graph 'decoder'"):
        copy_graphs(Parts(tmp_path), Bundle.open("edge"), ["flow", "decoder"])
