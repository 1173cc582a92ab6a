# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.sessions.choice import Choice
from stillflow.sessions.networks import Networks
from stillflow.sessions.session import DeviceSession
from stillflow_bench.latency.targets.timed_animator import TimedAnimator
from stillflow_bench.photos import scenery

from ...gpu.host_engine import host_engine  # noqa: F401


def test_a_loop_is_the_one_that_users_get_and_its_networks_are_timed() -> None:
    photo = scenery(96, 64)
    timed = TimedAnimator("edge", threads=1, precision="fp16")
    spans = timed.watch.start()
    loop = timed.animate(photo, seconds=1, fps=8)
    plain = Animator("edge", precision="fp16", device="cpu").animate(photo, seconds=1, fps=8)
    assert loop.runs == plain.runs
    assert abs(loop.frame(4).astype(int) - plain.frame(4)).max() <= 1
    assert (
        0
        < spans["B0.device flow"]
        < spans["B2.call flow"]
        < spans["B2.call"]
        < 1e9 * sum(loop.seconds.values())
    )
    assert timed.precisions() == {"flow": "fp16", "generator": "fp16"}
    assert timed.why == ("the device cpu was asked for",)
    timed.close()
    assert timed.precisions() == {}


def test_a_device_that_is_not_here_is_an_error() -> None:
    with pytest.raises(StillflowError, match="cannot run on cuda:63"):
        TimedAnimator("edge", device="cuda:63")


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_what_was_chosen_runs_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An animator that may choose goes to the CPU where a network does not load on the GPU: this one must not."""
    chosen = TimedAnimator("edge", device="auto", engine="onnxruntime")
    session = chosen.session("flow")
    assert isinstance(session, DeviceSession) and chosen.choice.device == "cuda:0"
    assert chosen.why != chosen.choice.why
    chosen.close()

    tried = []

    def refused(_: Networks, graph: str, way: Choice) -> None:
        tried.append(way.device)
        raise StillflowError("cannot load the graph", "it does not fit", "use another")

    monkeypatch.setattr(Networks, "_open", refused)
    with pytest.raises(StillflowError, match="it does not fit"):
        chosen.session("generator")
    assert tried == ["cuda:0"]
