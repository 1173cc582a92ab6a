# SPDX-License-Identifier: Apache-2.0
"""Velocity files: what other programs write is read, and whatever else comes is refused."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.velocity_field import VelocityField
from stillflow.velocity_file import MAX_SAMPLES, MAX_SIDE, load_velocity, velocity_from

FIELD = np.arange(2 * 3 * 2, dtype=np.float32).reshape(2, 3, 2) / 8 - 0.5


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def flo(field: np.ndarray, w: int | None = None, h: int | None = None) -> bytes:
    rows, columns = field.shape[:2]
    head = b"PIEH" + struct.pack("<2i", columns if w is None else w, rows if h is None else h)
    return head + field.astype("<f4").tobytes()


def header(text: str) -> bytes:
    padded = text.encode("latin1") + b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_float(tmp_path: Path, dtype: str, order: Any) -> None:
    path = tmp_path / "field.npy"
    path.write_bytes(npy(np.asarray(FIELD, dtype, order=order)))
    found = load_velocity(path)
    assert found.pixels.dtype == np.float32
    assert np.array_equal(found.pixels, FIELD)


def test_flo_begins_with_its_magic_number(tmp_path: Path) -> None:
    assert struct.unpack("<f", b"PIEH")[0] == 202021.25
    path = tmp_path / "field.dat"
    path.write_bytes(flo(FIELD))
    assert np.array_equal(load_velocity(path).pixels, FIELD)


def test_flow_that_is_not_known_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "field.flo"
    field = FIELD.copy()
    field[0, 1], field[1, 2, 0] = 1.666e9, -2e9
    path.write_bytes(flo(field))
    found = load_velocity(path).pixels
    assert not found[0, 1].any() and not found[1, 2].any()
    assert np.array_equal(found[0, 0], FIELD[0, 0])


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "neither"),
    "text": (b"motion: yes\n", "neither"),
    "flo head only": (b"PIEH", "cut short"),
    "flo truncated": (flo(FIELD)[:-1], "cut short"),
    "flo too long": (flo(FIELD) + b"\0", "longer"),
    "flo big-endian": (b"PIEH" + struct.pack(">2i", 3, 2) + FIELD.tobytes(), "header says"),
    "flo negative": (flo(FIELD, w=-3, h=-2), "header says"),
    "flo huge": (flo(FIELD, w=30_000, h=30_000), "header says"),
    "flo NaN": (flo(np.where(FIELD > 0, FIELD, np.nan)), "NaN"),
    "flo infinite": (flo(np.where(FIELD > 0, FIELD, -np.inf)), "NaN"),
    "pickle": (npy(np.array([{"a": 1}], object), allow_pickle=True), "pickle"),
    "bare pickle": (pickle.dumps(FIELD), "neither"),
    "integers": (npy(np.zeros((2, 3, 2), np.int32)), "int32"),
    "complex": (npy(np.zeros((2, 3, 2), np.complex64)), "complex64"),
    "records": (npy(np.zeros((2, 3, 2), [("x", "f4")])), "array"),
    "long doubles": (npy(np.zeros((2, 3, 2), np.longdouble)), "array"),
    "flat": (npy(np.zeros((2, 3), np.float32)), "(2, 3)"),
    "three planes": (npy(np.zeros((2, 3, 3), np.float32)), "(2, 3, 3)"),
    "planar": (npy(np.zeros((2, 5, 6), np.float32)), "(2, 5, 6)"),
    "no rows": (npy(np.zeros((0, 3, 2), np.float32)), "header says"),
    "npy NaN": (npy(np.full((2, 3, 2), np.nan, np.float16)), "NaN"),
    "npy far too fast": (npy(np.full((2, 3, 2), 1e12)), "1e+12"),
    "npy beyond float32": (npy(np.full((2, 3, 2), 1e300)), "1e+300"),
    "npy truncated": (npy(FIELD)[:-1], "cut short"),
    "npy too long": (npy(FIELD) + b"\0", "longer"),
    "npy of nobody": (b"\x93NUMPY\x09\x00" + bytes(64), "version 9.0"),
    "npy that lies": (
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (30000, 30000, 2), }"),
        "header says",
    ),
    "npy that lies more": (
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "0" * 40 + ", 1, 2), }"),
        "header says",
    ),
    "npy below 0": (
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1, 2), }"),
        "header says",
    ),
    "npy that calculates": (header("{'descr': '<f4', 'fortran_order': False, 'shape': (1+1, 3, 2), }"), ""),
    "npy of brackets": (header("(" * 900), ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_and_the_reason_is_named(tmp_path: Path, kind: str) -> None:
    data, says = BAD[kind]
    path = tmp_path / "field.npy"
    path.write_bytes(data)
    with pytest.raises(StillflowError) as caught:
        load_velocity(path)
    assert says in caught.value.why
    assert "field.npy" in caught.value.what
    assert (
        ".npy" in caught.value.fix or "set to 0" in caught.value.fix or "0 stands still" in caught.value.fix
    )


def test_no_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="no such file"):
        load_velocity(tmp_path / "nowhere.npy")
    with pytest.raises(StillflowError, match="folder"):
        load_velocity(tmp_path)
    with pytest.raises(StillflowError, match="plain file"):
        load_velocity(os.devnull)
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(StillflowError, match="plain file"):
        load_velocity(tmp_path / "pipe.npy")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    sound = data.draw(st.sampled_from([npy(FIELD), flo(FIELD), npy(FIELD.astype(np.float16))]))
    start = data.draw(st.integers(0, len(sound)))
    junk = data.draw(st.binary(max_size=40))
    path = tmp_path_factory.getbasetemp() / "any.flo"
    path.write_bytes(sound[:start] + junk + sound[start + data.draw(st.integers(0, 40)) :])
    try:
        found = load_velocity(path)
    except StillflowError as error:
        assert error.fix
    else:
        assert found.pixels.shape[2] == 2 and np.isfinite(found.pixels).all()
        assert max(found.pixels.shape) <= MAX_SIDE and found.pixels.size <= 2 * MAX_SAMPLES


def test_any_form_of_a_velocity(tmp_path: Path) -> None:
    path = tmp_path / "field.npy"
    np.save(path, FIELD)
    for source in (path, str(path), FIELD, FIELD.astype(np.float64), VelocityField(FIELD)):
        found = velocity_from(source, 12.0)
        assert np.array_equal(found.pixels, FIELD)
        assert found.fps == 12
    assert velocity_from(VelocityField(FIELD, fps=24)).fps == 24
    with pytest.raises(StillflowError, match="float16, float32"):
        velocity_from(FIELD.astype(np.int64))
    with pytest.raises(StillflowError, match="shape"):
        velocity_from(FIELD[..., 0])
