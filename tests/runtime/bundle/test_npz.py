# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stillflow.bundle.npz import MAX_ENTRIES, read_npz, write_npz
from stillflow.errors import StillflowError

LIMIT = 1 << 20


def read(source: bytes | Path, limit: int = LIMIT) -> dict[str, np.ndarray]:
    return read_npz(source, "cannot read in.npz", "write it with numpy.savez", limit)


def zipped(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([{"a": 1}], object))
    return buffer.getvalue()


PLAIN = npy(b"{'descr':'<f4','fortran_order':False,'shape':(1,)}\n", b"1234")

HOSTILE = {
    "empty": (b"", "not a file of plain arrays"),
    "not a zip": (b"hello", "not a file of plain arrays"),
    "a picture's first bytes": (b"\x89PNG\r\n\x1a\n", "not a file of plain arrays"),
    "pickle": (pickled(), "Object arrays"),
    "bomb": (zipped(("x.npy", bytes(4 << 20)), compression=zipfile.ZIP_DEFLATED), "unpacks to"),
    "rare packing": (zipped(("x.npy", PLAIN), compression=zipfile.ZIP_LZMA), "rare way"),
    "no array": (zipped(("readme.txt", b"hello")), "not an array"),
    "twice": (zipped(("x.npy", PLAIN), ("y.npy", PLAIN)).replace(b"y.npy", b"x.npy"), "twice"),
    "too many": (zipped(*((f"{i}.npy", PLAIN) for i in range(MAX_ENTRIES + 1))), "257 entries"),
    "announces a terabyte": (
        zipped(("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(274877906944,)}\n"))),
        "says it has 1099511627776 bytes",
    ),
    "announces beyond 64 bits": (
        zipped(("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(99999999999,99999999999)}\n"))),
        "file has fewer",
    ),
    "negative shape": (
        zipped(("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(-4,)}\n"))),
        "a shape of",
    ),
    "nonsense header": (zipped(("x.npy", npy(b"import os\n"))), "plain arrays"),
    "deep header": (zipped(("x.npy", npy(b"(" * 5000 + b"\n"))), "plain arrays"),
    "endless header": (zipped(("x.npy", npy(b"{" + b" " * 60_000 + b"\n"))), "plain arrays"),
    "version 9": (zipped(("x.npy", npy(b"{}\n", version=b"\x09\x00"))), "array format 9.0"),
    "short": (
        zipped(("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(100,)}\n", b"12" * 150))),
        "says it has 400 bytes|plain arrays",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(kind: str) -> None:
    data, why = HOSTILE[kind]
    with pytest.raises(StillflowError, match=why) as caught:
        read(data)
    assert caught.value.what == "cannot read in.npz"
    assert len(str(caught.value)) < 600


def test_pipes_folders_and_nothing_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    for path, why in (
        (tmp_path / "pipe.npz", "plain file"),
        (tmp_path, "plain file"),
        (tmp_path / "x", "no such"),
    ):
        with pytest.raises(StillflowError, match=why):
            read(path)


def test_an_entry_with_a_password_is_refused() -> None:
    data = bytearray(zipped(("x.npy", PLAIN)))
    for at in (data.find(b"PK\x03\x04") + 6, data.rfind(b"PK\x01\x02") + 8):
        data[at] |= 1
    with pytest.raises(StillflowError, match="plain arrays"):
        read(bytes(data))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_is_refused_or_changes_nothing_but_values(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, photo=np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4), b=np.zeros(3))
    whole = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        found = read(bytes(whole[:cut] if data.draw(st.booleans()) else whole))
    except StillflowError:
        return
    assert sum(array.nbytes for array in found.values()) <= LIMIT
    assert not any(array.dtype.hasobject for array in found.values())


@settings(max_examples=40, deadline=None)
@given(
    arrays_of.arrays(
        st.sampled_from([np.float32, np.float16, np.uint8, np.int64]),
        arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_what_is_written_reads_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("npz") / "out.npz"
    write_npz(path, {"velocity": array, "file": array})
    for found in (read(path), dict(np.load(path))):
        assert list(found) == ["velocity", "file"]
        assert found["velocity"].dtype == array.dtype
        assert found["velocity"].tobytes() == np.ascontiguousarray(array).tobytes()


def test_equal_arrays_are_equal_bytes_and_not_compressed(tmp_path: Path) -> None:
    arrays = {"x": np.zeros((64, 64), np.float32)}
    write_npz(tmp_path / "a.npz", arrays)
    write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.npz").stat().st_size > 64 * 64 * 4


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.npz"
    path.write_bytes(b"before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(StillflowError, match="no space left"):
        write_npz(path, {"x": np.zeros(3)})
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]
