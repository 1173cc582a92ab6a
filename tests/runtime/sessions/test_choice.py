# SPDX-License-Identifier: Apache-2.0
"""Every rule of the choice, on machines that are only told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu
from stillflow.sessions.choice import Choice, decide
from stillflow.sessions.facts import Built, Trouble
from stillflow.sessions.wish import TENSORRT, Wish

BOTH = ("fp32", "fp16")
NO_DRIVER = Trouble("there is no NVIDIA driver here", "run it elsewhere, or: --device cpu", notable=False)
FITS = Built("fits", "gate C passed")
FAILED = Built("failed", "it failed gate C")
FOREIGN = Built("foreign", "it is for another GPU")


def gpu(name: str) -> Gpu:
    return Gpu(name, "", "9.0", 132, 144_000, 51_200, 6144, 232_448, False, True, "580.65.06")


@dataclass(frozen=True)
class Told:
    """Facts as somebody tells them; by default a server with one GPU and nothing installed for it."""

    bundle: str = "edge"
    held: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"flow": BOTH, "generator": BOTH})
    default_precision: str = "fp32"
    decodes: bool = False
    gpus: tuple[Gpu, ...] = (gpu("H200"),)
    no_gpu: Trouble = NO_DRIVER
    cpu_engine: str = "onnxruntime"
    kernel_troubles: Mapping[int, Trouble] = field(default_factory=dict)
    packages: tuple[str, ...] = ("onnxruntime",)
    wheel: bool = False
    passed: tuple[str, ...] = ("flow", "generator")
    stored: Mapping[tuple[str, str, str], Built] = field(default_factory=dict)

    def kernels(self, index: int) -> Trouble | None:
        assert index < len(self.gpus), "asked of a GPU that is not there"
        return self.kernel_troubles.get(index)

    def package(self, engine: str) -> Trouble | None:
        return None if engine in self.packages else Trouble(f"{engine} is not installed", f"install {engine}")

    def builder(self, engine: str, index: int) -> Trouble | None:
        return self.package(engine)

    def onnxruntime_cuda(self) -> Trouble | None:
        return None if self.wheel else Trouble("the wheel is for CPUs", "install the other wheel")

    def judged(self, graph: str, precision: str) -> bool:
        return precision == "fp32" or graph in self.passed

    def engine(self, library: str, graph: str, precision: str, index: int) -> Built:
        return self.stored.get((library, graph, precision), Built())


def engines(library: str, precision: str, built: Built = FITS) -> dict[tuple[str, str, str], Built]:
    return {(library, graph, precision): built for graph in ("flow", "generator")}


SERVER = Told()
LAPTOP = Told(gpus=())
NO_LAYER = {0: Trouble("cuda-core is not installed", "pip install 'stillflow[cuda]'")}
FLOW_ONLY = {("tensorrt", "flow", "fp16"): FITS}

CHOSEN: dict[str, tuple[Told, Wish, tuple[str, str, str, str], str]] = {
    # name: facts, wish, (engine, device, precision, frames), words among the reasons
    "no GPU": (LAPTOP, Wish(), ("onnxruntime", "cpu", "fp32", "cpu"), "no NVIDIA driver"),
    "no GPU, openvino alone": (
        replace(LAPTOP, cpu_engine="openvino"), Wish(), ("openvino", "cpu", "fp32", "cpu"), "no NVIDIA driver",
    ),
    "no GPU, openvino asked": (
        LAPTOP, Wish(engine="openvino"), ("openvino", "cpu", "fp32", "cpu"), "no NVIDIA driver",
    ),
    "no GPU, fp16 asked": (
        LAPTOP, Wish(precision="fp16"), ("onnxruntime", "cpu", "fp16", "cpu"), "no NVIDIA driver",
    ),
    "no GPU, the bundle's own is fp16": (
        replace(LAPTOP, default_precision="fp16"), Wish(), ("onnxruntime", "cpu", "fp32", "cpu"), "slower on a CPU",
    ),
    "no GPU, nothing but fp16": (
        replace(LAPTOP, default_precision="fp16", held={"flow": ("fp16",)}),
        Wish(), ("onnxruntime", "cpu", "fp16", "cpu"), "no NVIDIA driver",
    ),
    "no GPU, int8 is the bundle's own": (
        replace(LAPTOP, default_precision="int8", held={"flow": ("fp32", "int8")}),
        Wish(), ("onnxruntime", "cpu", "int8", "cpu"), "no NVIDIA driver",
    ),
    "the CPU asked for where a GPU is": (
        replace(SERVER, wheel=True), Wish("cpu"), ("onnxruntime", "cpu", "fp32", "cpu"), "asked for",
    ),
    "engines of fp16": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp16")),
        Wish(), ("tensorrt", "cuda:0", "fp16", "cuda:0"), "gate C passed",
    ),
    "engines of fp32 alone": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp32")),
        Wish(), ("tensorrt", "cuda:0", "fp32", "cuda:0"),
        "stillflow build edge --for auto --library tensorrt --precision fp16",
    ),
    "engines of both": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp32") | engines("tensorrt", "fp16")),
        Wish(), ("tensorrt", "cuda:0", "fp16", "cuda:0"), "H200 is here",
    ),
    "engines of both, fp32 asked": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp32") | engines("tensorrt", "fp16")),
        Wish(precision="fp32"), ("tensorrt", "cuda:0", "fp32", "cuda:0"), "fp32",
    ),
    "engines of both, fp16 failed its gate B": (
        replace(
            SERVER, packages=("tensorrt",), passed=(),
            stored=engines("tensorrt", "fp32") | engines("tensorrt", "fp16"),
        ),
        Wish(), ("tensorrt", "cuda:0", "fp32", "cuda:0"), "no receipt says that fp16 of flow and generator passed",
    ),
    "engines of RTX": (
        replace(SERVER, packages=TENSORRT, stored=engines("tensorrt_rtx", "fp16")),
        Wish(), ("tensorrt_rtx", "cuda:0", "fp16", "cuda:0"), "H200 is here",
    ),
    "engines of both libraries": (
        replace(SERVER, packages=TENSORRT, stored=engines("tensorrt_rtx", "fp16") | engines("tensorrt", "fp16")),
        Wish(), ("tensorrt", "cuda:0", "fp16", "cuda:0"), "H200 is here",
    ),
    "engines of fp16 failed gate C, those of fp32 fit": (
        replace(
            SERVER, packages=TENSORRT,
            stored=engines("tensorrt", "fp16", FAILED) | engines("tensorrt", "fp32"),
        ),
        Wish(), ("tensorrt", "cuda:0", "fp32", "cuda:0"), "H200 is here",
    ),
    "an engine of one graph, and the wheel for CUDA": (
        replace(SERVER, packages=("tensorrt",), wheel=True, stored=FLOW_ONLY),
        Wish(), ("onnxruntime", "cuda:0", "fp16", "cuda:0"), "tensorrt is not used: generator",
    ),
    "foreign engines, and the wheel for CUDA": (
        replace(SERVER, packages=("tensorrt",), wheel=True, stored=engines("tensorrt", "fp16", FOREIGN)),
        Wish(), ("onnxruntime", "cuda:0", "fp16", "cuda:0"), "it is for another GPU",
    ),
    "engines that failed gate C, and the wheel for CUDA": (
        replace(SERVER, packages=("tensorrt",), wheel=True, stored=engines("tensorrt", "fp16", FAILED)),
        Wish(), ("onnxruntime", "cuda:0", "fp16", "cuda:0"), "it failed gate C",
    ),
    "the wheel for CUDA alone": (
        replace(SERVER, wheel=True), Wish(), ("onnxruntime", "cuda:0", "fp16", "cuda:0"), "no TensorRT engines",
    ),
    "the wheel for CUDA, fp16 of one graph without a receipt": (
        replace(SERVER, wheel=True, passed=("flow",)),
        Wish(), ("onnxruntime", "cuda:0", "flow fp16, generator fp32", "cuda:0"), "fp16 of generator",
    ),
    "the wheel for CUDA, one graph without a file of fp16": (
        replace(SERVER, wheel=True, held={"flow": BOTH, "generator": ("fp32",)}),
        Wish(), ("onnxruntime", "cuda:0", "flow fp16, generator fp32", "cuda:0"), "CUDA",
    ),
    "the wheel for CUDA, and libraries that could build": (
        replace(SERVER, wheel=True, packages=TENSORRT),
        Wish(), ("onnxruntime", "cuda:0", "fp16", "cuda:0"),
        "TensorRT may be faster: stillflow build edge --for auto --library tensorrt --precision fp16",
    ),
    "the wheel for CUDA, asked for where engines are": (
        replace(SERVER, packages=("tensorrt",), wheel=True, stored=engines("tensorrt", "fp16")),
        Wish(engine="onnxruntime"), ("onnxruntime", "cuda:0", "fp16", "cuda:0"), "onnxruntime runs on CUDA",
    ),
    "the wheel for CUDA, int8": (
        replace(SERVER, wheel=True), Wish(precision="int8"), ("onnxruntime", "cuda:0", "int8", "cuda:0"), "CUDA",
    ),
    "a GPU and nothing for networks": (
        SERVER, Wish(), ("onnxruntime", "cpu", "fp32", "cuda:0"), "the networks run on the CPU",
    ),
    "a GPU, onnxruntime for CPUs asked": (
        SERVER, Wish(engine="onnxruntime"), ("onnxruntime", "cpu", "fp32", "cuda:0"), "the wheel is for CPUs",
    ),
    "a GPU, openvino asked": (
        SERVER, Wish(engine="openvino"), ("openvino", "cpu", "fp32", "cuda:0"), "openvino on the CPU only",
    ),
    "cuda asked, fall back allowed": (
        SERVER, Wish("cuda", allow_fallback=True), ("onnxruntime", "cpu", "fp32", "cuda:0"), "cuda was asked for",
    ),
    "cuda and openvino asked, fall back allowed": (
        SERVER, Wish("cuda", "openvino", allow_fallback=True), ("openvino", "cpu", "fp32", "cuda:0"), "openvino",
    ),
    "tensorrt asked, not installed, fall back allowed": (
        SERVER, Wish(engine="tensorrt", allow_fallback=True), ("onnxruntime", "cpu", "fp32", "cuda:0"), "tensorrt",
    ),
    "the second GPU": (
        replace(SERVER, gpus=(gpu("A10"), gpu("L4")), wheel=True),
        Wish("cuda:1"), ("onnxruntime", "cuda:1", "fp16", "cuda:1"), "cuda:1 was asked for",
    ),
    "the first GPU is of no use": (
        replace(SERVER, gpus=(gpu("K80"), gpu("L4")), wheel=True, kernel_troubles=NO_LAYER),
        Wish(), ("onnxruntime", "cuda:1", "fp16", "cuda:1"), "L4 is here",
    ),
    "no kernels on the GPU": (
        replace(SERVER, wheel=True, kernel_troubles=NO_LAYER),
        Wish(), ("onnxruntime", "cpu", "fp32", "cpu"), "no GPU here can be used",
    ),
    "a network decodes, on the CPU": (
        replace(SERVER, decodes=True), Wish(), ("onnxruntime", "cpu", "fp32", "cpu"), "the networks run on the CPU",
    ),
    "a network decodes, on the GPU": (
        replace(SERVER, decodes=True, wheel=True), Wish(), ("onnxruntime", "cuda:0", "fp16", "cuda:0"), "CUDA",
    ),
    "tensorrt asked, nothing in the cache": (
        replace(SERVER, packages=("tensorrt",)),
        Wish(engine="tensorrt"), ("tensorrt", "cuda:0", "fp16", "cuda:0"), "engines are built first",
    ),
    "tensorrt asked at fp32": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp16")),
        Wish(engine="tensorrt", precision="fp32"), ("tensorrt", "cuda:0", "fp32", "cuda:0"), "built first: flow fp32",
    ),
    "tensorrt asked, fp32 is there": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp32")),
        Wish(engine="tensorrt"), ("tensorrt", "cuda:0", "fp32", "cuda:0"), "tensorrt was asked for",
    ),
    "tensorrt asked, fp16 failed gate C": (
        replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp16", FAILED)),
        Wish(engine="tensorrt"), ("tensorrt", "cuda:0", "fp32", "cuda:0"), "built first: flow fp32",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOSEN)
def test_chosen(case: str) -> None:
    facts, wish, expected, says = CHOSEN[case]
    chosen = decide(wish, facts)
    assert (chosen.engine, chosen.device, chosen.precision, chosen.frames) == expected
    assert says in "; ".join(chosen.why)
    assert list(chosen.precisions) == list(facts.held)


TWO = replace(SERVER, gpus=(gpu("A10"), gpu("L4")))

REFUSED: dict[str, tuple[Told, Wish, tuple[str, ...]]] = {
    # name: facts, wish, words of the message
    "cuda without a driver": (LAPTOP, Wish("cuda"), ("cannot run on cuda", "no NVIDIA driver", "run it elsewhere")),
    "without a driver, fall back allowed": (LAPTOP, Wish("cuda", allow_fallback=True), ("no NVIDIA driver",)),
    "a third GPU of two": (TWO, Wish("cuda:2"), ("counts 2", "cuda:0 (A10)", "use cuda:0 or cuda:1")),
    "no kernels": (replace(SERVER, kernel_troubles=NO_LAYER), Wish("cuda"), ("cuda-core", "stillflow[cuda]")),
    "tensorrt without a GPU": (
        LAPTOP, Wish(engine="tensorrt"),
        ("the engine tensorrt", "no NVIDIA driver", "run it elsewhere, or: --device cpu --engine auto"),
    ),
    "cuda and nothing for networks": (SERVER, Wish("cuda"), ("the wheel is for CPUs", "--allow-fallback")),
    "cuda and a library that could build": (
        replace(SERVER, packages=("tensorrt",)), Wish("cuda"),
        ("stillflow build edge --for auto --library tensorrt --precision fp16", "--allow-fallback"),
    ),
    "the second GPU and a library that could build": (
        replace(TWO, packages=("tensorrt",)), Wish("cuda:1"), ("stillflow build edge --for auto --device cuda:1",),
    ),
    "cuda and onnxruntime for CPUs": (SERVER, Wish("cuda", "onnxruntime"), ("install the other wheel",)),
    "cuda and openvino": (SERVER, Wish("cuda", "openvino"), ("on the CPU only", "leave --engine out")),
    "tensorrt that is not installed": (SERVER, Wish(engine="tensorrt"), ("install tensorrt", "--allow-fallback")),
    "tensorrt, all engines failed gate C": (
        replace(
            SERVER, packages=("tensorrt",),
            stored=engines("tensorrt", "fp16", FAILED) | engines("tensorrt", "fp32", FAILED),
        ),
        Wish(engine="tensorrt"), ("flow fp16 is not used: it failed gate C", "--graph flow --force"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    facts, wish, says = REFUSED[case]
    with pytest.raises(StillflowError) as refused:
        decide(wish, facts)
    for words in says:
        assert words in str(refused.value)


def test_what_is_missing_is_built_and_no_more() -> None:
    facts = replace(SERVER, packages=("tensorrt",), stored=FLOW_ONLY)
    assert decide(Wish(engine="tensorrt"), facts).build == ("generator",)
    foreign = replace(facts, stored=engines("tensorrt", "fp16", FOREIGN))
    assert decide(Wish(engine="tensorrt"), foreign).build == ("flow", "generator")
    assert decide(Wish(), facts).build == ()


def test_a_machine_that_cannot_build_says_what_is_missing_and_why() -> None:
    class NoProfile(Told):
        def builder(self, engine: str, index: int) -> Trouble | None:
            return Trouble("none is for this GPU", "write a profile")

    with pytest.raises(
        StillflowError, match=r"flow fp16: there is no engine.*none is for this GPU\n.*write a profile"
    ):
        decide(Wish(engine="tensorrt"), NoProfile(packages=("tensorrt",)))


def test_who_asked_for_a_place_is_not_sent_elsewhere_later() -> None:
    facts = replace(SERVER, wheel=True, packages=("tensorrt",), stored=engines("tensorrt", "fp16"))
    for wish in (Wish(), Wish(engine="onnxruntime"), Wish("cuda", allow_fallback=True)):
        assert decide(wish, facts).open
    for wish in (Wish("cuda"), Wish("cuda:0", "onnxruntime"), Wish(engine="tensorrt")):
        assert not decide(wish, facts).open
    asked = decide(Wish(engine="onnxruntime"), replace(facts, packages=TENSORRT))
    assert not any("TensorRT" in reason for reason in asked.why)


@pytest.mark.parametrize(
    ("facts", "wish", "says"),
    [
        (LAPTOP, Wish(), None),
        (replace(LAPTOP, no_gpu=Trouble("a GPU and no driver", "install one")), Wish(), "install one"),
        (replace(SERVER, kernel_troubles=NO_LAYER), Wish(), "H200 is not used: cuda-core is not installed"),
        (replace(SERVER, kernel_troubles=NO_LAYER), Wish("cpu"), None),
        (SERVER, Wish(), "the networks run on the CPU"),
        (SERVER, Wish(engine="onnxruntime"), "install the other wheel"),
        (SERVER, Wish(engine="openvino"), None),
        (SERVER, Wish("cuda", "openvino", allow_fallback=True), "openvino on the CPU only"),
        (SERVER, Wish("cuda", allow_fallback=True), "the networks run on the CPU"),
        (replace(SERVER, wheel=True), Wish(), None),
        (replace(SERVER, packages=("tensorrt",), stored=engines("tensorrt", "fp16")), Wish(), None),
    ],
)
def test_warnings(facts: Told, wish: Wish, says: str | None) -> None:
    warnings = decide(wish, facts).warnings
    assert len(warnings) == (says is not None)
    assert says is None or says in warnings[0]


@dataclass(frozen=True)
class Silent(Told):
    """A machine that nothing may be asked of that costs time."""

    def kernels(self, index: int) -> Trouble | None:
        raise AssertionError("the CUDA layer was asked for")

    def onnxruntime_cuda(self) -> Trouble | None:
        raise AssertionError("onnxruntime was asked for")

    def engine(self, library: str, graph: str, precision: str, index: int) -> Built:
        raise AssertionError("the cache was read")


def test_without_a_gpu_or_on_the_cpu_nothing_is_looked_for() -> None:
    assert decide(Wish(), Silent(gpus=())).device == "cpu"
    assert decide(Wish("cpu"), Silent()).device == "cpu"


def test_in_words_and_as_plain_values() -> None:
    chosen = decide(Wish(), replace(SERVER, wheel=True))
    assert chosen.painter == "cuda kernels on H200"
    assert chosen.as_json() | {"why": [], "warnings": []} == {
        "engine": "onnxruntime", "device": "cuda:0", "precision": "fp16", "frames": "cuda kernels on H200",
        "why": [], "warnings": [],
    }  # fmt: skip
    assert decide(Wish(), LAPTOP).painter == "cpu kernels"


STATES = st.sampled_from([Built(), FITS, FAILED, FOREIGN])
WISHES = [
    Wish(device, engine, precision, fallback)
    for device, engine, precision, fallback in product(
        ("auto", "cpu", "cuda"),
        ("auto", *TENSORRT, "onnxruntime", "openvino"),
        ("auto", "fp16"),
        (False, True),
    )
    if not (device == "cpu" and engine in TENSORRT)
]


@st.composite
def machines(draw: st.DrawFn) -> Told:
    keys = product(TENSORRT, ("flow", "generator"), BOTH)
    return Told(
        decodes=draw(st.booleans()),
        gpus=draw(st.sampled_from([(), (gpu("A"),)])),
        kernel_troubles=draw(st.sampled_from([{}, NO_LAYER])),
        packages=("onnxruntime", *draw(st.sets(st.sampled_from(TENSORRT)))),
        wheel=draw(st.booleans()),
        passed=tuple(draw(st.sets(st.sampled_from(["flow", "generator"])))),
        stored={key: draw(STATES) for key in keys},
    )


@given(machines(), st.sampled_from(WISHES))
def test_the_cpu_is_never_taken_in_silence(facts: Told, wish: Wish) -> None:
    try:
        chosen = decide(wish, facts)
    except StillflowError as error:
        assert wish.device != "cpu" and wish != Wish()
        assert error.why and error.fix
        return
    _holds(facts, wish, chosen)


def _holds(facts: Told, wish: Wish, chosen: Choice) -> None:
    assert chosen.why
    if wish.device == "cpu" or not facts.gpus:
        assert chosen.device == chosen.frames == "cpu" and not chosen.warnings
        return
    if chosen.device == "cpu":
        assert chosen.warnings or (wish.engine == "openvino" and wish.device == "auto" and chosen.why)
        assert wish.device == "auto" or wish.allow_fallback
        assert wish.engine not in TENSORRT or wish.allow_fallback
    else:
        assert chosen.frames == chosen.device and chosen.gpu == "A"
        assert wish.engine in ("auto", chosen.engine)
    assert wish.precision in ("auto", chosen.precision)
    if chosen.engine in TENSORRT:
        for graph, precision in chosen.precisions.items():
            state = facts.engine(chosen.engine, graph, precision, 0).state
            assert state == "fits" or (graph in chosen.build and state in ("none", "foreign"))
            assert precision != "fp16" or wish.precision == "fp16" or graph in facts.passed
