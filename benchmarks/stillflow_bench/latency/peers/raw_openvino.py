# SPDX-License-Identifier: Apache-2.0
"""Raw OpenVINO: a compiled model and infer requests that are used again, with none of our code in between.

As its manual advises for latency: the LATENCY hint, shapes that are fixed before the model is compiled (all photos of
a run have one size; ours stay free), inputs and outputs shared with NumPy instead of copied, one request a lane.

It computes in float32, as ours does: left to itself it would take bfloat16 where the CPU has that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.sessions.session import Array
from stillflow_bench.latency.inputs import Inputs
from stillflow_bench.latency.peers.both_networks import BothNetworks, Run, chosen_files, network_photos
from stillflow_bench.latency.peers.installed import installed
from stillflow_bench.latency.target import Facts, TargetSpec

PEER = "raw OpenVINO"


def open_target(spec: TargetSpec) -> BothNetworks:
    """Open both networks.

    Raises:
        StillflowError: OpenVINO is absent, or a graph does not load.
    """
    ov = installed("openvino", PEER)
    from stillflow.sessions.openvino import the_core

    core = the_core()
    bundle = Bundle.open(spec.subject.bundle)
    device, files = chosen_files(bundle, spec.subject, "openvino")
    photos = network_photos(bundle, spec)
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if spec.subject.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = spec.subject.threads
    compiled: dict[str, Any] = {}
    outputs: dict[str, list[str]] = {}
    for graph, file in files.items():
        try:
            model = core.read_model(file.data)
            model.reshape({name: list(array.shape) for name, array in photos.inputs[0][graph].items()})
            outputs[graph] = [port.get_any_name() for port in model.outputs]
            compiled[graph] = core.compile_model(model, "CPU", settings)
        # openvino raises RuntimeError and, for some malformed files, others.
        except Exception as error:
            why = f"openvino {ov.__version__} says: {str(error).strip()[-300:]}"
            raise StillflowError(
                f"cannot load the graph {graph}", why, "use the engine onnxruntime"
            ) from error
    flow = compiled["flow"]
    facts = Facts(
        engine="openvino",
        version=str(ov.__version__),
        provider=f"{','.join(flow.get_property('EXECUTION_DEVICES'))} "
        f"{flow.get_property('INFERENCE_PRECISION_HINT').get_type_name()}",
        precision={graph: file.precision for graph, file in files.items()},
        device=device,
        hashes={"bundle": bundle.sha256, **{graph: file.sha256 for graph, file in files.items()}},
        notes={
            **{name.lower(): value for name, value in settings.items()},
            "shapes are fixed": True,
            "requests are used again": True,
            "memory is shared with NumPy": True,
        },
    )

    def make() -> Mapping[str, Run]:
        return {graph: _Request(model, outputs[graph]) for graph, model in compiled.items()}

    return BothNetworks(photos, make, facts, on_cpu=True)


class _Request:
    """One graph, for one lane."""

    def __init__(self, model: Any, outputs: list[str]) -> None:
        self._request = model.create_infer_request()
        self._outputs = outputs

    def __call__(self, given: Inputs) -> dict[str, Array]:
        made = self._request.infer(dict(given), share_inputs=True, share_outputs=True)
        return dict(zip(self._outputs, made.values(), strict=True))
