# SPDX-License-Identifier: Apache-2.0
"""Shipped engines taken into another machine's cache: nothing is believed, and what does not fit is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.build import receiving
from stillflow.build.adapter import Library
from stillflow.build.builder import Engine
from stillflow.build.cache import EngineCache
from stillflow.build.receiving import NEW_HERE, receive
from stillflow.build.shipping import ship
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture
def shipped(build: Callable[..., Engine], tmp_path: Path) -> Path:
    """An engine for compute capability 8.9, with its sidecars."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    (path,) = ship([build()], "l4", folder, overwrite=False)
    return path


@pytest.fixture
def target(tmp_path: Path) -> EngineCache:
    """The cache of the other machine."""
    return EngineCache(tmp_path / "target")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, other_gpu: Gpu) -> Callable[..., None]:
    """Say which GPUs the other machine has."""

    def put(*gpus: Gpu) -> None:
        monkeypatch.setattr(receiving, "gpu_count", lambda: len(gpus))
        monkeypatch.setattr(receiving, "find_gpu", lambda index: gpus[index])

    put(other_gpu)
    return put


@pytest.mark.usefixtures("there")
def test_received(shipped: Path, target: EngineCache) -> None:
    received = receive(shipped, target)
    assert received.new
    (stored,) = target.stored()
    assert (stored.why, stored.entry, stored.folder) == ("", received.entry, received.folder)
    assert stored.path.read_bytes() == shipped.read_bytes()
    assert stored.path.stat().st_mode & 0o777 == 0o600
    assert (stored.folder / "layers.json").read_bytes() == Path(f"{shipped}.layers.json").read_bytes()
    gate = target.gate(stored.key)
    assert gate is not None
    assert (gate["state"], gate["why"]) == ("not run", NEW_HERE)
    assert not receive(shipped, target).new
    assert receive(shipped, target, replace=True).new


@pytest.mark.usefixtures("there")
def test_a_damaged_entry_is_replaced(shipped: Path, target: EngineCache) -> None:
    received = receive(shipped, target)
    (received.folder / received.entry.engine).chmod(0o666)
    assert receive(shipped, target).new
    assert [stored.why for stored in target.stored()] == [""]


def test_another_machine(
    shipped: Path,
    target: EngineCache,
    there: Callable[..., None],
    other_gpu: Gpu,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(says: str) -> None:
        with pytest.raises(StillflowError, match=says) as caught:
            receive(shipped, target)
        assert "--for-another-machine" in caught.value.fix
        assert target.stored() == []

    a10 = Gpu("NVIDIA A10", "", "8.6", 72, 23028, 6144, 384, 101376, False, True, "580.65.06")
    there(a10)
    refused(r"for compute capability 8\.9, here is NVIDIA A10 \(compute capability 8\.6, driver 580")
    there()
    refused("here is no CUDA device")
    there(a10, other_gpu)
    with monkeypatch.context() as patch:
        patch.setattr(Library, "invalid", lambda self, data: "malformed")
        refused("calls it invalid: malformed")
    with monkeypatch.context() as patch:
        patch.setattr(receiving.Library, "open", lambda name: type("Other", (), {"version": "9.9"}))
        refused(r"it is for tensorrt_rtx 1\.\S+, here is 9\.9")
    with monkeypatch.context() as patch:
        patch.setattr("stillflow.build.adapter.find_module", lambda name: None)
        refused("and it is not installed here")
    assert receive(shipped, target).new, "the second GPU is the engine's"
    there()
    assert not receive(shipped, target, elsewhere=True).new


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no sidecar": (lambda p: Path(f"{p}.json").unlink(), "No such file"),
    "no layers": (lambda p: Path(f"{p}.layers.json").unlink(), "No such file"),
    "no engine": (lambda p: p.unlink(), "No such file"),
    "sidecar is not JSON": (lambda p: Path(f"{p}.json").write_text("{"), "sidecar is not valid"),
    "receipt is not JSON": (
        lambda p: Path(f"{p}.gate-c.json").write_text("["),
        "receipt of gate C is not valid",
    ),
    "engine is a link": (lambda p: (p.rename(f"{p}.real"), p.symlink_to(f"{p}.real")), "symbolic link"),
    "engine is longer": (lambda p: p.open("ab").write(b"x"), "it is longer than"),
    "others may write": (lambda p: p.chmod(0o666), "other users may write"),
    "others may write the sidecar": (lambda p: Path(f"{p}.json").chmod(0o622), "other users may write"),
    "a pipe": (lambda p: (p.unlink(), os.mkfifo(p)), "not a plain file"),
}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_not_as_it_was_shipped(kind: str, shipped: Path, target: EngineCache) -> None:
    spoil, says = SPOILT[kind]
    spoil(shipped)
    with pytest.raises(StillflowError, match=says) as caught:
        receive(shipped, target, elsewhere=True)
    assert "--out" in caught.value.fix
    assert ("chmod go-w" in caught.value.fix) == ("may write" in says)
    assert target.stored() == []


@pytest.mark.usefixtures("there")
def test_shipped_under_a_generous_umask(
    build: Callable[..., Engine], tmp_path: Path, target: EngineCache
) -> None:
    before = os.umask(0)
    try:
        (path,) = ship([build()], "l4", tmp_path, overwrite=False)
    finally:
        os.umask(before)
    assert receive(path, target).new


@pytest.mark.usefixtures("there")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 1 << 30), bit=st.integers(0, 7), sidecar=st.booleans())
def test_no_bit_may_be_another(
    place: int, bit: int, sidecar: bool, shipped: Path, target: EngineCache
) -> None:
    """Of the engine none; of the sidecar none that decides what is loaded, or its key is another's, or it is unread."""
    path = Path(f"{shipped}.json") if sidecar else shipped
    before = path.read_bytes()
    data = bytearray(before)
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    try:
        key = receive(shipped, target, elsewhere=True).entry.parts.key
        assert sidecar
        assert target.read(key).sha256 == json.loads(before)["sha256"]
    except StillflowError:
        pass
    finally:
        path.write_bytes(before)


@pytest.mark.usefixtures("there")
def test_what_failed_gate_c_where_it_was_built(shipped: Path, target: EngineCache) -> None:
    Path(f"{shipped}.gate-c.json").write_text('{"state": "failed", "why": "flow is wrong"}')
    with pytest.raises(StillflowError, match="failed gate C where it was built: flow is wrong"):
        receive(shipped, target)
    Path(f"{shipped}.gate-c.json").unlink()
    assert receive(shipped, target).new
