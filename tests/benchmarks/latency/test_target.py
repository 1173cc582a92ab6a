# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.target import KINDS, PACKAGE, TargetSpec, open_target


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_module_that_opens_it(kind: str) -> None:
    # Not imported: a peer's library may be absent.
    found = find_spec(f"{PACKAGE}.{KINDS[kind].module}")
    assert found is not None and found.origin is not None
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "open_target"
    ]
    assert [argument.arg for function in functions for argument in function.args.args] == ["spec"]


def test_an_unknown_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(StillflowError, match="'warp-drive'") as caught:
        open_target(TargetSpec("warp-drive", "B2.call"))
    assert "networks" in caught.value.fix
