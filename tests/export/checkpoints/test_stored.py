# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stillflow_export.checkpoints.pickle_machine import Global, RefusedError, read_pickle
from stillflow_export.checkpoints.stored import CALLS, DTYPES, Storage, StorageTable, StoredTensor, storage_of


class Numbers:
    """A storage that holds 0, 1, 2 ..."""

    def numbers(self, key: str, dtype: torch.dtype, count: int, start: int, stop: int) -> torch.Tensor:
        return torch.arange(count)[start:stop].to(dtype)


def tensor(
    count: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], start: int = 0
) -> StoredTensor:
    return StoredTensor(Storage("0", torch.float32, count, start, count + start), offset, shape, stride)


@given(
    st.lists(st.integers(0, 4), max_size=4).map(tuple),
    st.lists(st.integers(0, 9), max_size=4).map(tuple),
    st.integers(0, 9),
    st.integers(0, 60),
)
def test_reads_what_torch_reads_or_refuses(
    shape: tuple[int, ...], stride: tuple[int, ...], offset: int, count: int
) -> None:
    try:
        expected = torch.as_strided(torch.arange(count).float(), shape, stride, offset)
    except RuntimeError:
        with pytest.raises(RefusedError):
            tensor(count, offset, shape, stride)
        return
    try:
        found = tensor(count, offset, shape, stride)
    except RefusedError:
        # Beyond what torch refuses: one number many times, and nothing at all from beyond the end.
        assert expected.numel() > count or offset > count
        return
    got = found.read(Numbers())
    assert torch.equal(got, expected)
    assert got.is_contiguous()
    assert got.untyped_storage().nbytes() == got.numel() * 4


def test_a_view_of_a_storage_begins_where_it_says() -> None:
    assert tensor(3, 1, (2,), (1,), start=5).read(Numbers()).tolist() == [6.0, 7.0]


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((1 << 61,), (1,), 0),
        ((1 << 20, 1 << 20), (0, 0), 0),
        ((4,), (1,), 1),
        ((2, 2), (3, 1), 0),
        ((-1,), (1,), 0),
        ((1,), (-1,), 0),
        ((1,), (1,), -1),
        ((2.0,), (1,), 0),
        ((True,), (1,), 0),
        ((1,) * 9, (1,) * 9, 0),
        ((1, 1), (1,), 0),
        (("x",), (1,), 0),
    ],
)
def test_tensors_outside_their_storage_are_refused(shape: Any, stride: Any, offset: int) -> None:
    with pytest.raises(RefusedError):
        tensor(4, offset, shape, stride)


FLOATS = Global("torch", "FloatStorage")

IDS = {
    "no tuple": "storage",
    "another kind": ("module", FLOATS, "0", "cpu", 4),
    "too short": ("storage", FLOATS, "0"),
    "no class": ("storage", "FloatStorage", "0", "cpu", 4),
    "unknown class": ("storage", Global("torch", "QUInt8Storage"), "0", "cpu", 4),
    "no key": ("storage", FLOATS, 0, "cpu", 4),
    "no length": ("storage", FLOATS, "0", "cpu", None),
    "negative length": ("storage", FLOATS, "0", "cpu", -1),
    "huge length": ("storage", FLOATS, "0", "cpu", 1 << 70),
    "view of nothing": ("storage", FLOATS, "0", "cpu", 4, ("1",)),
    "view beyond the end": ("storage", FLOATS, "0", "cpu", 4, ("1", 2, 3)),
    "view before the start": ("storage", FLOATS, "0", "cpu", 4, ("1", -1, 3)),
}


@pytest.mark.parametrize("kind", IDS)
def test_odd_storages_are_refused(kind: str) -> None:
    with pytest.raises(RefusedError):
        storage_of(IDS[kind])


def test_views_share_their_storage() -> None:
    table = StorageTable()
    whole = table.add(("storage", FLOATS, "7", "cuda:0", 10, None))
    part = table.add(("storage", FLOATS, "7", "cuda:0", 10, ("8", 4, 3)))
    assert (whole.start, whole.count, whole.whole) == (0, 10, 10)
    assert (part.start, part.count, part.whole) == (4, 3, 10)
    assert list(table.storages) == ["7"]


@pytest.mark.parametrize("other", [("DoubleStorage", 10), ("FloatStorage", 9)])
def test_a_storage_described_in_two_ways_is_refused(other: tuple[str, int]) -> None:
    table = StorageTable()
    table.add(("storage", FLOATS, "7", "cpu", 10))
    with pytest.raises(RefusedError, match="two ways"):
        table.add(("storage", Global("torch", other[0]), "7", "cpu", other[1]))


@pytest.mark.parametrize(
    "value",
    [np.float32(0.5), np.float64(-2.25), np.int64(7), np.bool_(True), np.uint8(3)],
    ids=lambda v: v.dtype.name,
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_scalars_become_numbers(value: Any, protocol: int) -> None:
    got = read_pickle(io.BytesIO(pickle.dumps({"best": value}, protocol)), CALLS, storage_of)
    assert got == {"best": value.item()}
    assert type(got["best"]) is type(value.item())


def test_numpy_arrays_are_refused_by_name() -> None:
    with pytest.raises(RefusedError, match="_reconstruct"):
        read_pickle(io.BytesIO(pickle.dumps(np.zeros(3), 2)), CALLS, storage_of)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_every_dtype_has_the_size_that_torch_says() -> None:
    for name, dtype in DTYPES.items():
        assert getattr(torch, name)().dtype == dtype
