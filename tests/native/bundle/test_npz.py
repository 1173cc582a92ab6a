# SPDX-License-Identifier: Apache-2.0
"""Arrays that NumPy writes are read to the bit; hostile files are refused."""

from __future__ import annotations

import ctypes
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stillflow.bundle.npz import write_npz

from ..internals import Room, internals
from ..structs import FORMAT
from .calls import RefusedError, check


class Tensor(ctypes.Structure):
    """sf_tensor."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("shape", ctypes.c_int64 * 4),
        ("data", ctypes.POINTER(ctypes.c_float)),
    )


def read(data: bytes, name: str) -> np.ndarray | None:
    """The array of that name, of four dimensions."""
    library = internals()
    library.test_npz_read.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p) + (
        ctypes.c_void_p,
    ) * 2
    tensor, found = Tensor(), ctypes.c_int32(-1)
    with Room() as room:
        status = library.test_npz_read(
            room.address, data, len(data), name.encode(), ctypes.byref(tensor), ctypes.byref(found)
        )
        check(status, room.error)
        if not found.value:
            return None
        shape = tuple(tensor.shape)
        count = int(np.prod(shape))
        flat = np.ctypeslib.as_array(tensor.data, (count,)).copy() if count else np.zeros(0, np.float32)
        return flat.reshape(shape)


def packed(compressed: bool, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    arrays_of.arrays(
        np.float32,
        arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=st.floats(width=32),
    ),
    st.booleans(),
)
def test_what_numpy_writes_is_read_to_the_bit(array: np.ndarray, compressed: bool) -> None:
    data = packed(compressed, **{"input.photo": array, "other": np.zeros(3)})
    found = read(data, "input.photo")
    assert found is not None
    assert found.shape == array.shape + (1,) * (4 - array.ndim)
    assert found.tobytes() == array.tobytes()
    assert read(data, "photo") is None


def test_what_the_runtime_writes_is_read(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_npz(tmp_path / "a.npz", {"x": array})
    assert np.array_equal(read((tmp_path / "a.npz").read_bytes(), "x"), array[..., None])


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + header + data


def zipped(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def header(descr: str = "'<f4'", order: str = "False", shape: str = "(1,)") -> bytes:
    return f"{{'descr':{descr},'fortran_order':{order},'shape':{shape}}}\n".encode()


PLAIN = npy(header(), b"1234")

HOSTILE = {
    "empty": b"",
    "not a zip": b"hello",
    "rare packing": zipped(("x.npy", PLAIN), compression=zipfile.ZIP_LZMA),
    "twice": zipped(("x.npy", PLAIN), ("y.npy", PLAIN)).replace(b"y.npy", b"x.npy"),
    "too many": zipped(*((f"{i}.npy", PLAIN) for i in range(257))),
    "announces a terabyte": zipped(("x.npy", npy(header(shape="(274877906944,)")))),
    "announces beyond 64 bits": zipped(("x.npy", npy(header(shape="(99999999999,99999999999)")))),
    "announces beyond all digits": zipped(("x.npy", npy(header(shape=f"({'9' * 90},)")))),
    "negative shape": zipped(("x.npy", npy(header(shape="(-4,)")))),
    "shape without a number": zipped(("x.npy", npy(header(shape="(,)")))),
    "five dimensions": zipped(("x.npy", npy(header(shape="(1,1,1,1,1)"), b"1234"))),
    "no shape": zipped(("x.npy", npy(b"{'descr':'<f4','fortran_order':False}", b"1234"))),
    "big-endian": zipped(("x.npy", npy(header(descr="'>f4'"), b"1234"))),
    "doubles": zipped(("x.npy", npy(header(descr="'<f8'"), b"12345678"))),
    "pickled": zipped(("x.npy", npy(header(descr="'|O'"), b"12345678"))),
    "column by column": zipped(("x.npy", npy(header(order="True"), b"1234"))),
    "nonsense header": zipped(("x.npy", npy(b"import os\n"))),
    "something after the dictionary": zipped(("x.npy", npy(header() + b"x", b"1234"))),
    "endless header": zipped(("x.npy", npy(b"{" + b" " * 60_000 + b"\n"))),
    "header beyond the file": zipped(("x.npy", b"\x93NUMPY\x01\x00\xff\xff{}          ")),
    "version 9": zipped(("x.npy", npy(b"{}\n", version=b"\x09\x00"))),
    "no version": zipped(("x.npy", b"\x93NUMPY")),
    "short": zipped(("x.npy", npy(header(shape="(100,)"), b"12" * 150))),
    "long": zipped(("x.npy", npy(header(), b"12345"))),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(kind: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read(HOSTILE[kind], "x")
    assert caught.value.status == FORMAT
    assert caught.value.why
    assert caught.value.fix


def test_both_versions_are_read() -> None:
    for version in (b"\x01\x00", b"\x02\x00"):
        data = zipped(("x.npy", npy(header(shape="(2, 1,)"), b"12345678", version)))
        assert read(data, "x").shape == (2, 1, 1, 1)


def test_a_bomb_is_refused_before_memory_is_taken() -> None:
    data = bytearray(zipped(("x.npy", PLAIN), compression=zipfile.ZIP_DEFLATED))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(RefusedError, match="256 MiB"):
        read(bytes(data), "x")


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans())
def test_any_damage_is_refused_or_leaves_the_values(data: st.DataObject, compressed: bool) -> None:
    array = np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4)
    whole = bytearray(packed(compressed, photo=array, b=np.zeros(3, np.float32)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    try:
        found = read(bytes(whole), "photo")
    except RefusedError as error:
        assert error.status == FORMAT
        return
    assert found is None or np.array_equal(found, array)
