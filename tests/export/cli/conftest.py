# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import nn

from stillflow_export import bundle_writer, load, onnx_export
from stillflow_export.onnx_export import ExportedGraph


@pytest.fixture
def folder(
    tmp_path: Path, flow_network: nn.Module, exported: ExportedGraph, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with weights in runs/, and the tiny network in place of the real one."""
    (tmp_path / "runs" / "flow").mkdir(parents=True)
    save_file(flow_network.state_dict(), tmp_path / "runs/flow/flow.safetensors")
    monkeypatch.setattr(load, "load_flow_network", lambda path: flow_network)
    for module in (onnx_export, bundle_writer):
        monkeypatch.setattr(module, "export_onnx", lambda *a, **k: exported)
    monkeypatch.chdir(tmp_path)
    return tmp_path
