# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as the library uses it, on a library that looks like it: nothing is lost, whatever fails."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ..internals import INCLUDES, ROOT
from ..structs import ARGUMENT, DIFFERS, ENGINE, FORMAT, VERSION
from .calls import Bundle, RefusedError

GOLDEN = ROOT / "tests" / "data" / "bundles" / "golden-1.0"

FLOAT32, INT64 = 1, 7


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    made = tmp_path_factory.mktemp("fake") / "libfake.so"
    source = Path(__file__).with_name("fake_engine.c")
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden")
    subprocess.run(["cc", *flags, *INCLUDES, str(source), "-o", str(made)], check=True)
    loaded = ctypes.CDLL(str(made))
    loaded.fake_told.restype = ctypes.c_char_p
    loaded.fake_begin.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)
    return loaded


Begin = Callable[..., str]


@pytest.fixture
def begin(library: ctypes.CDLL) -> Begin:
    """Start the library anew; gives its path."""

    def start(fails: int = 0, version: bytes = b"1.18.0", dtype: int = FLOAT32, names: bool = True) -> str:
        library.kept = version  # which it does not copy
        library.fake_begin(fails, version, dtype, names)
        return str(library._name)

    return start


@pytest.mark.parametrize("provider", ["cpu", "cuda", "tensorrt"])
def test_everything_is_released_whatever_call_fails(
    library: ctypes.CDLL, begin: Begin, provider: str
) -> None:
    path = begin()
    with Bundle(GOLDEN, library=path, provider=provider) as bundle:
        opening = library.fake_calls()
        with pytest.raises(RefusedError, match="another shape") as caught:
            bundle.test()
        assert caught.value.status == DIFFERS
        both = library.fake_calls()
    assert library.fake_live() == 0
    assert both > opening > 30
    for number in range(1, both + 1):
        path = begin(number)
        with pytest.raises(RefusedError) as caught:
            open_and_test(path, provider)
        assert library.fake_calls() >= number
        assert library.fake_live() == 0
        assert caught.value.status == ENGINE
        assert caught.value.why == "ONNX Runtime 1.18.0 says: made to fail"
        assert caught.value.fix


def open_and_test(library: str, provider: str) -> None:
    with Bundle(GOLDEN, library=library, provider=provider) as bundle:
        bundle.test()


def test_a_bundle_works_on_after_a_run_that_failed(library: ctypes.CDLL, begin: Begin) -> None:
    path = begin()
    with Bundle(GOLDEN, library=path) as bundle:
        opening = library.fake_calls()
    path = begin(opening + 5)
    with Bundle(GOLDEN, library=path) as bundle:
        held = library.fake_live()
        for status in (ENGINE, DIFFERS, DIFFERS):
            with pytest.raises(RefusedError) as caught:
                bundle.test()
            assert caught.value.status == status
            assert library.fake_live() == held
    assert library.fake_live() == 0


def told(library: ctypes.CDLL) -> list[str]:
    return library.fake_told().decode().split()


def test_options_are_those_of_the_python_side(library: ctypes.CDLL, begin: Begin) -> None:
    said: list[tuple[int, str]] = []
    Bundle(GOLDEN, library=begin(), log=said).close()
    assert told(library) == ["severity=fatal", "session.intra_op.allow_spinning=0"]
    assert said == [(1, "ONNX Runtime 1.18.0, provider cpu")]


def test_a_provider_that_is_asked_for_is_the_only_one(library: ctypes.CDLL, begin: Begin) -> None:
    alone = ["severity=fatal", "session.intra_op.allow_spinning=0", "session.disable_cpu_ep_fallback=1"]
    Bundle(GOLDEN, library=begin(), provider="cuda", device=2).close()
    assert told(library) == [
        *alone,
        "device_id=2",
        "use_tf32=0",
        "cudnn_conv_algo_search=HEURISTIC",
        "arena_extend_strategy=kSameAsRequested",
        "append=cuda",
    ]
    Bundle(GOLDEN, library=begin(), provider="tensorrt", device=1).close()
    assert told(library) == [*alone, "device_id=1", "append=tensorrt"]


@pytest.mark.parametrize("options", [{"provider": "abacus"}, {"device": -1}, {"threads": -1}])
def test_wishes_that_mean_nothing(library: ctypes.CDLL, begin: Begin, options: dict[str, object]) -> None:
    with pytest.raises(RefusedError) as caught:
        Bundle(GOLDEN, library=begin(), **options)
    assert caught.value.status == ARGUMENT
    assert library.fake_live() == 0


@pytest.mark.parametrize("version", [b"1.17.9", b"0.5.0", b"2.0.0", b"", b"new"])
def test_other_versions_are_refused(begin: Begin, version: bytes) -> None:
    with pytest.raises(RefusedError, match="the library is version") as caught:
        Bundle(GOLDEN, library=begin(version=version))
    assert caught.value.status == VERSION


@pytest.mark.parametrize("lie", [{"dtype": INT64}, {"names": False}])
def test_a_graph_that_is_not_as_the_manifest_says(
    library: ctypes.CDLL, begin: Begin, lie: dict[str, object]
) -> None:
    with pytest.raises(RefusedError, match="not those that the manifest gives it") as caught:
        Bundle(GOLDEN, library=begin(**lie))
    assert caught.value.status == FORMAT
    assert library.fake_live() == 0


def test_a_library_that_is_not_there_or_another() -> None:
    for name, why in (("/nowhere/libonnxruntime.so", "nowhere"), ("libc.so.6", "lacks OrtGetApiBase")):
        with pytest.raises(RefusedError, match=why) as caught:
            Bundle(GOLDEN, library=name)
        assert caught.value.status == ENGINE
        assert "1.18" in caught.value.fix
