# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.sessions.session import Array, TensorSpec
from stillflow_bench.latency.targets.timed_session import TimedSession, Watch, timed_on_cpu

INPUTS = {"field": np.random.default_rng(0).random((1, 9, 32, 64), dtype=np.float32)}
ENGINES = ["onnxruntime", *(["openvino"] if importlib.util.find_spec("openvino") else [])]


class Sleepy:
    """A session that sleeps, and does nothing else."""

    engine, provider, fallback = "sleep", "the host's clock", ""
    inputs = outputs = (TensorSpec("x", "float32", (1,)),)
    closed = False

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        time.sleep(float(inputs["x"][0]))
        return dict(inputs)

    def close(self) -> None:
        self.closed = True


def naps(seconds: float) -> dict[str, Any]:
    return {"x": np.array([seconds], np.float32)}


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_our_session_with_the_librarys_call_inside_ours(engine: str) -> None:
    bundle, watch = Bundle.open(), Watch()
    session = timed_on_cpu(bundle.graph_bytes("generator"), "generator", "generator", engine, 1, watch)
    plain = bundle.session("generator", engine, threads=1)
    spans = watch.start()
    found = session.run(INPUTS)
    for name, array in plain.run(INPUTS).items():
        assert np.array_equal(found[name], array)
    assert (session.engine, session.provider, session.threads) == (plain.engine, plain.provider, 1)
    assert (session.inputs, session.outputs) == (plain.inputs, plain.outputs)
    assert set(spans) == {"B0.device", "B0.device generator", "B2.call", "B2.call generator"}
    assert (
        0
        < spans["B0.device"]
        == spans["B0.device generator"]
        < spans["B2.call"]
        == spans["B2.call generator"]
    )
    session.close()


def test_calls_add_up_until_the_query_ends() -> None:
    watch = Watch()
    one, other = TimedSession(Sleepy(), "one", watch), TimedSession(Sleepy(), "other", watch)
    one.run(naps(0.001))
    spans = watch.start()
    one.run(naps(0.002))
    other.run(naps(0.003))
    one.run(naps(0.002))
    watch.stop()
    one.run(naps(0.25))
    assert spans["B2.call"] == spans["B2.call one"] + spans["B2.call other"] < 250_000_000
    assert spans["B2.call one"] >= 4_000_000 and spans["B2.call other"] >= 3_000_000


def test_lanes_do_not_hear_of_each_other() -> None:
    watch = Watch()
    session = TimedSession(Sleepy(), "nap", watch)

    def lane(seconds: float) -> dict[str, int]:
        spans = watch.start()
        for _ in range(3):
            session.run(naps(seconds))
        return spans

    with ThreadPoolExecutor(2) as pool:
        short, long = pool.map(lane, (0.001, 0.05))
    assert 3_000_000 <= short["B2.call"] < 150_000_000 <= long["B2.call"]
    assert watch.spans == {}


def test_closing_closes_what_is_inside() -> None:
    inner = Sleepy()
    TimedSession(inner, "nap", Watch()).close()
    assert inner.closed


def test_an_engine_that_is_not_installed_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "stillflow.sessions.openvino", None)
    with pytest.raises(StillflowError) as told:
        timed_on_cpu(b"", "flow", "flow", "openvino", None, Watch())
    assert told.value.fix == "pip install 'stillflow[openvino]'"
