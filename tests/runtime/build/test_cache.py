# SPDX-License-Identifier: Apache-2.0
"""The cache under attack and under load: what is changed is not loaded, what is half is not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stillflow.build.builder import Engine
from stillflow.build.cache import DamagedError, EngineCache, Stored, cache_root
from stillflow.build.entry import ENTRY_FILE
from stillflow.errors import StillflowError

Spoil = Callable[[Path], object]


def change_entry(folder: Path, **changes: object) -> None:
    path = folder / ENTRY_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link_out(path: Path) -> None:
    outside = path.parents[2] / "outside"
    path.rename(outside)
    path.symlink_to(outside)


def other_version(folder: Path) -> None:
    """Somebody says that an old engine is for the version of today."""
    parts = json.loads((folder / ENTRY_FILE).read_text())["parts"]
    change_entry(folder, parts=parts | {"builder_version": "1.0.0.0"})


SPOILT: dict[str, tuple[Spoil, str]] = {
    "one bit of the engine": (lambda f: flip(f / "flow-fp32.engine"), "not hold the bytes"),
    "a longer engine": (lambda f: (f / "flow-fp32.engine").open("ab").write(b"x"), "longer than"),
    "a shorter engine": (lambda f: os.truncate(f / "flow-fp32.engine", 100), "not hold the bytes"),
    "no engine": (lambda f: (f / "flow-fp32.engine").unlink(), "No such file"),
    "the engine is a link": (lambda f: link_out(f / "flow-fp32.engine"), "symbolic link"),
    "the sidecar is a link": (lambda f: link_out(f / ENTRY_FILE), "symbolic link"),
    "the entry is a link": (lambda f: link_out(f), "symbolic link"),
    "the engine is open to all": (lambda f: (f / "flow-fp32.engine").chmod(0o666), "other users may write"),
    "the entry is open to all": (lambda f: f.chmod(0o777), "other users may write"),
    "no sidecar": (lambda f: (f / ENTRY_FILE).unlink(), "No such file"),
    "the sidecar is not JSON": (lambda f: (f / ENTRY_FILE).write_text("{"), "not valid"),
    "the sidecar is too deep": (lambda f: (f / ENTRY_FILE).write_text("[" * 100_000), "not valid"),
    "the sidecar is a bomb": (lambda f: os.truncate(f / ENTRY_FILE, 1 << 30), "longer than"),
    "the engine's name climbs out": (lambda f: change_entry(f, engine="../../x.engine"), "not valid"),
    "the engine's name is another": (lambda f: change_entry(f, engine="layers.json"), "not valid"),
    "another hash": (lambda f: change_entry(f, sha256="0" * 64), "not hold the bytes"),
    "a newer sidecar": (lambda f: change_entry(f, schema_version="2.0"), "not valid"),
    "another version than its key": (other_version, "describes another engine"),
}


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("kind", SPOILT)
def test_what_was_changed_is_not_loaded(kind: str, build: Callable[..., Engine], cache: EngineCache) -> None:
    engine = build()
    key = engine.entry.parts.key
    assert cache.load(key)[1] == engine.path.read_bytes()
    spoil, why = SPOILT[kind]
    spoil(engine.folder)
    with pytest.raises(DamagedError, match=why):
        cache.load(key)
    (stored,) = cache.stored()
    assert stored.entry is None
    assert why in stored.why


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("kind", ["one bit of the engine", "the entry is a link", "no sidecar"])
def test_what_was_changed_is_moved_away_and_built_again(
    kind: str, build: Callable[..., Engine], cache: EngineCache, said: list[str]
) -> None:
    engine = build()
    SPOILT[kind][0](engine.folder)
    again = build(say=said.append)
    assert not again.cached
    assert "is damaged" in said[0]
    assert len(list((cache.root / "quarantine").iterdir())) == 1
    assert cache.load(engine.entry.parts.key)[0] == again.entry


def test_what_is_there_is_taken(build: Callable[..., Engine], cache: EngineCache, said: list[str]) -> None:
    first = build()
    second = build(say=said.append)
    assert second.cached
    assert second.entry == first.entry
    assert said == []
    assert first.folder.stat().st_mode & 0o777 == 0o700
    assert sorted(p.name for p in first.folder.iterdir()) == [
        ENTRY_FILE,
        "flow-fp32.engine",
        "gate-c.json",
        "layers.json",
    ]
    assert [p.name for p in cache.engines.iterdir()] == [first.entry.parts.key]


@pytest.mark.usefixtures("seeded")
def test_what_is_there_is_taken_without_a_lock(build: Callable[..., Engine], cache: EngineCache) -> None:
    """Root may write anywhere, so a disk that is read-only is played by locks that cannot be taken."""
    build()
    shutil.rmtree(cache.root / "locks")
    (cache.root / "locks").write_text("")
    assert build().cached
    with pytest.raises(StillflowError, match="it is not a folder"):
        build(force=True)


@pytest.mark.usefixtures("seeded")
def test_force_replaces_and_what_was_open_stays_readable(
    build: Callable[..., Engine], cache: EngineCache
) -> None:
    first = build()
    before = cache.load(first.entry.parts.key)
    with first.path.open("rb") as opened:
        again = build(force=True)
        assert opened.read() == before[1]
    assert not again.cached
    assert cache.load(again.entry.parts.key)[0] == again.entry
    assert len(cache.stored()) == 1


@pytest.mark.usefixtures("seeded")
def test_leftovers_of_a_killed_build_are_swept(build: Callable[..., Engine], cache: EngineCache) -> None:
    key = build().entry.parts.key
    mine, others = cache.engines / f".part-{key}-00000000", cache.engines / f".part-{'f' * 64}-00000000"
    for part in (mine, others):
        part.mkdir()
        (part / "graph.onnx").write_bytes(b"x" * 1000)
    build(force=True)
    assert not mine.exists()
    assert others.exists(), "it may be under way"
    with cache.lock("f" * 64):
        cache.prune(lambda stored: False)
        assert others.exists(), "it is under way"
    removed, freed = cache.prune(lambda stored: False)
    assert not others.exists()
    assert removed == []
    assert freed >= 1000


@pytest.mark.usefixtures("seeded")
def test_what_was_built_again_meanwhile_is_not_pruned(
    build: Callable[..., Engine], cache: EngineCache
) -> None:
    engine = build()
    sound = engine.path.read_bytes()
    flip(engine.path)

    class Raced(EngineCache):
        """Another process builds between the look and the lock."""

        def stored(self, *, engines: bool = True) -> list[Stored]:
            found = super().stored(engines=engines)
            engine.path.write_bytes(sound)
            return found

    assert Raced(cache.root).prune(lambda stored: False) == ([], 0)
    assert cache.load(engine.entry.parts.key)[1] == sound


def test_a_lock_that_cannot_be_taken_is_named(cache: EngineCache) -> None:
    (cache.folder("locks") / f"{'a' * 64}.lock").mkdir()
    with pytest.raises(StillflowError, match="cannot lock the engine cache"), cache.lock("a" * 64):
        pass


SLOW = """
class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        import time
        time.sleep(1)
        return super().build_serialized_network(network, config)
"""


def test_two_processes_build_once(
    in_place_of_rtx: Callable[[str], Path], command: list[str], cache: EngineCache
) -> None:
    in_place_of_rtx(SLOW)
    both = [
        subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    engines = [json.loads(out)["engines"][0] for out, _ in ends]
    assert sorted(engine["cached"] for engine in engines) == [False, True]
    assert engines[0]["sha256"] == engines[1]["sha256"]
    assert sum("another process builds it; waiting" in err for _, err in ends) == 1
    assert len(cache.stored()) == 1


def test_many_threads_one_lock(cache: EngineCache) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        with cache.lock("a" * 64):
            with guard:
                inside += 1
                most = max(most, inside)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def run_limited(golden: Path, limit: int, root: Path) -> subprocess.CompletedProcess[str]:
    """Build in a process that may write no file longer than a limit: a real refusal in the middle of a file."""
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        f"import sys; from stillflow.cli import main\n"
        f"sys.exit(main(['build', {str(golden)!r}, '--for', 'a10', '--library', 'tensorrt_rtx']))"
    )
    env = os.environ | {"STILLFLOW_CACHE": str(root)}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=env
    )


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("limit", [5_000, 100_000], ids=["the graph does not fit", "the engine does not fit"])
def test_a_file_that_cannot_grow_leaves_the_cache_as_it_was(
    build: Callable[..., Engine], cache: EngineCache, source_tree: Path, limit: int
) -> None:
    before = build().entry
    done = run_limited(source_tree / "tests" / "data" / "bundles" / "golden-1.0", limit, cache.root)
    assert done.returncode == 2, done.stderr
    assert "cannot write the engine of flow" in done.stderr
    assert "larger than this system allows" in done.stderr
    assert [stored.entry for stored in cache.stored()] == [before]
    assert [p.name for p in cache.engines.iterdir()] == [before.parts.key]
    assert not (cache.root / "failed").exists()


def test_a_disk_that_is_full_in_the_middle(source_tree: Path, tmp_path: Path, rtx: str) -> None:
    """On a real disk of 400 kB, of which the graph takes 9 and the engine would take 900."""
    disk = tmp_path / "disk"
    disk.mkdir()
    bundle = source_tree / "tests" / "data" / "bundles" / "golden-1.0"
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o size=400k none {disk}"
    if (
        unshare is None
        or subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode
    ):
        pytest.skip("this system does not let a test mount a disk of its own")
    command = f"{mount} && {sys.executable} -m stillflow build {bundle} --for l4 --library {rtx}; code=$?; "
    command += f"find {disk}/engines -mindepth 1 | wc -l; exit $code"
    env = os.environ | {"STILLFLOW_CACHE": str(disk)}
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", command], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "stillflow cache prune" in done.stderr
    assert done.stdout.split()[-1] == "0", "nothing half is left"


@pytest.mark.usefixtures("seeded")
def test_a_full_disk_at_the_last_write(
    build: Callable[..., Engine], cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is whole, its sidecar is not: then there is no entry."""
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:  # graph and request are written; the child writes for itself; then comes the sidecar
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    before = cache.stored()[0].entry
    with pytest.raises(StillflowError, match="the disk is full"):
        build(force=True)
    monkeypatch.undo()
    assert [stored.entry for stored in cache.stored()] == [before]
    assert len(list(cache.engines.iterdir())) == 1


@pytest.mark.usefixtures("seeded")
def test_a_cache_that_others_may_write_to_is_not_used(
    build: Callable[..., Engine], cache: EngineCache
) -> None:
    build()
    cache.engines.chmod(0o777)
    with pytest.raises(StillflowError, match="other users may write"):
        build(force=True)
    with pytest.raises(DamagedError, match="other users may write"):
        cache.read(cache.stored()[0].key)


def test_a_place_that_cannot_be_made(tmp_path: Path, rtx: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StillflowError, match="is there already"):
        EngineCache(tmp_path / "file").folder("engines")


@pytest.mark.usefixtures("seeded")
def test_gate_receipts(build: Callable[..., Engine], cache: EngineCache) -> None:
    key = build().entry.parts.key
    assert cache.gate(key) == {"state": "not run", "why": "no CUDA device"}
    cache.set_gate(key, {"state": "failed", "why": "velocity is off by 3"})
    assert cache.gate(key) == {"state": "failed", "why": "velocity is off by 3"}
    (cache.engines / key / "gate-c.json").write_text("[")
    assert cache.gate(key) is None
    assert cache.gate("0" * 64) is None


def test_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "here"))
    assert cache_root() == tmp_path / "here"
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / ("x" * 300)))
    with pytest.raises(StillflowError, match="cannot use the engine cache"):
        cache_root()
    monkeypatch.delenv("STILLFLOW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert cache_root().name == "stillflow"


@pytest.mark.usefixtures("seeded")
def test_an_entry_is_plain_json_with_everything_in_it(build: Callable[..., Engine]) -> None:
    engine = build()
    found = json.loads((engine.folder / ENTRY_FILE).read_text())
    assert found == msgspec.to_builtins(engine.entry) | {"parts": found["parts"]}
    assert found["parts"]["builder_version"]
    assert found["parts"]["target"]["compute_capability"] == "8.9"
    assert engine.path.read_bytes()[:4] != b"{\n  ", "the engine is plain: no prefix of ours"
