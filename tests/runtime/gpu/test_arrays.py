# SPDX-License-Identifier: Apache-2.0
"""Arrays on a device go to other libraries and come from them; what we cannot read is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.gpu import dlpack
from stillflow.gpu.arrays import (
    DeviceArray,
    allocate_array,
    device_array,
    download_array,
    is_device_array,
    ready_on,
    upload_array,
)
from stillflow.gpu.open import open_device


class Theirs:
    """An array of another library."""

    def __init__(self, **about):
        self.__cuda_array_interface__ = {
            "shape": (2, 3),
            "typestr": "<f4",
            "data": (4096, False),
            "strides": None,
            "version": 3,
            **about,
        }


def test_the_interface_of_others_is_read():
    theirs = Theirs(strides=(12, 4), stream=7)
    read = device_array(theirs)
    assert (read.address, read.shape, read.dtype, read.stream) == (4096, (2, 3), np.dtype("f4"), 7)
    assert read.owner is theirs and read.nbytes == 24
    assert device_array(read) is read
    assert is_device_array(theirs) and is_device_array(read) and not is_device_array(np.zeros(3))


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"strides": (24, 8)}, "strides"),
        ({"strides": (4, 8)}, "strides"),
        ({"mask": object()}, "mask"),
        ({"typestr": ">f4"}, "items"),
        ({"typestr": "nonsense"}, "not valid"),
        ({"data": None}, "not valid"),
    ],
)
def test_what_cannot_be_read_is_refused(about, why):
    with pytest.raises(StillflowError, match=why):
        device_array(Theirs(**about))


def test_arrays_of_the_host_are_refused():
    with pytest.raises(StillflowError, match="host's memory"):
        device_array(np.zeros(3, np.float32))
    with pytest.raises(StillflowError, match="neither"):
        device_array([1, 2])


@given(shape=st.lists(st.integers(0, 4), max_size=4).map(tuple), fortran=st.booleans())
def test_one_piece_is_what_numpy_calls_contiguous(shape, fortran):
    array = np.zeros(shape, np.float32, order="F" if fortran else "C")
    assert dlpack.in_one_piece(shape, array.strides, 4) == array.flags.c_contiguous


def test_what_is_handed_over_says_where_it_is():
    array = DeviceArray(4096, (2, 3), np.dtype("u1"), stream=0)
    assert array.__cuda_array_interface__["stream"] == 1
    assert DeviceArray(4096, (0, 3), np.dtype("u1")).__cuda_array_interface__["data"] == (0, False)
    assert "stream" not in DeviceArray(4096, (2, 3), np.dtype("u1")).__cuda_array_interface__
    assert array.__dlpack_device__() == (2, 0)
    for wrong in ({"dl_device": (1, 0)}, {"copy": True}, {"stream": 5}):
        with pytest.raises(BufferError):
            array.__dlpack__(**wrong)
    for good in (
        {},
        {"stream": 1},
        {"stream": -1},
        {"max_version": (1, 1), "dl_device": (2, 0), "copy": False},
    ):
        array.__dlpack__(**good)


class Silent:
    """An array as PyTorch has them: its interface cannot say who writes it, and its library lets a stream wait."""

    def __init__(self, refuses=False):
        self.asked, self.refuses = [], refuses
        self.__cuda_array_interface__ = {
            "shape": (3,),
            "typestr": "<f4",
            "data": (4096, False),
            "strides": None,
            "version": 2,
        }

    def __dlpack_device__(self):
        return dlpack.CUDA, 0

    def __dlpack__(self, stream=None):
        if self.refuses:
            raise BufferError("it needs its gradient")
        self.asked.append(stream)
        return DeviceArray(4096, (3,), np.dtype("f4")).__dlpack__(stream=-1)


@pytest.mark.parametrize(("handle", "asked"), [(77, 77), (1, 1), (0, 1)])
def test_a_library_whose_interface_says_no_stream_lets_ours_wait_itself(handle, asked):
    theirs = Silent()
    read = device_array(theirs, SimpleNamespace(handle=handle))
    assert theirs.asked == [asked], "0 is not allowed there"
    assert (read.address, read.shape, read.stream) == (4096, (3,), None)
    assert device_array(theirs).owner is theirs and theirs.asked == [asked], (
        "nobody waits where nobody uses it"
    )
    with pytest.raises(StillflowError, match="needs its gradient"):
        device_array(Silent(refuses=True), SimpleNamespace(handle=handle))


def test_an_interface_that_says_its_stream_is_believed():
    theirs = Silent()
    theirs.__cuda_array_interface__ |= {"version": 3, "stream": None}
    assert device_array(theirs, SimpleNamespace(handle=7)).stream is None and not theirs.asked


@pytest.mark.device
def test_an_array_that_does_not_say_its_device_is_looked_up(cuda_device):
    array = allocate_array(cuda_device, (4,), np.uint8)
    theirs = Theirs(shape=(4,), typestr="|u1", data=(array.address, False))
    assert device_array(theirs).device == cuda_device.index
    theirs.device = SimpleNamespace(index=3)
    assert device_array(theirs).device == 3
    array.close()


@pytest.mark.stand_in
@pytest.mark.device
def test_an_array_on_the_second_gpu_that_does_not_say_so_is_found_there(cuda_device, monkeypatch):
    monkeypatch.setenv("STAND_IN_DEVICES", "2")
    second = open_device(1, "cuda-core")
    array = allocate_array(second, (4,), np.uint8)
    theirs = Theirs(shape=(4,), typestr="|u1", data=(array.address, False))
    assert device_array(theirs).device == 1
    array.close()
    second.close()


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        *((dtype, (4, 1, 2)) for dtype in ("?", "u1", "i4", "f2", "f4", "f8", "c8")),
        *(("f4", shape) for shape in ((), (3,), (2, 0, 5))),
    ],
)
def test_dlpack_goes_there_and_back(dtype, shape):
    array = DeviceArray(4096, shape, np.dtype(dtype), device=1)

    class Producer:
        def __dlpack_device__(self):
            return array.__dlpack_device__()

        def __dlpack__(self, stream):
            assert stream == 1
            return array.__dlpack__(stream=-1)

    read = device_array(Producer())
    assert (read.address, read.shape, read.dtype, read.device) == (4096, shape, np.dtype(dtype), 1)
    assert len(dlpack._handed_out) == 1
    del read
    assert not dlpack._handed_out


def test_a_capsule_that_nobody_takes_keeps_nothing():
    made = DeviceArray(4096, (2, 3), np.dtype("f4")).__dlpack__()
    assert len(dlpack._handed_out) == 1
    del made
    assert not dlpack._handed_out


@pytest.mark.device
def test_cuda_core_reads_our_arrays_by_both_ways(cuda_device):
    from cuda.core.utils import StridedMemoryView

    stream = cuda_device.stream()
    array = upload_array(cuda_device, np.arange(12, dtype=np.float32).reshape(3, 4), stream)
    with cuda_device.current():
        for read in (StridedMemoryView.from_dlpack, StridedMemoryView.from_cuda_array_interface):
            view = read(array, -1)
            assert (view.ptr, tuple(view.shape), view.dtype) == (array.address, (3, 4), np.dtype("f4"))
            assert view.is_device_accessible and view.device_id == cuda_device.index
            again = device_array(view) if hasattr(view, "__dlpack__") else None
            assert again is None or again.address == array.address
            del view, again
    assert np.array_equal(download_array(cuda_device, array, stream), np.arange(12).reshape(3, 4))
    array.close()
    stream.close()


@pytest.mark.device
def test_who_uses_an_array_waits_for_who_writes_it(cuda_device):
    writer, reader = cuda_device.stream(), cuda_device.stream()
    staged = cuda_device.pin(4)
    staged.array[:] = 5
    array = allocate_array(cuda_device, (4,), np.uint8)
    cuda_device.clear(array.address, 4, writer)
    writer.synchronize()
    cuda_device.upload(staged.array, array.address, writer)
    theirs = Theirs(shape=(4,), typestr="|u1", data=(array.address, False), stream=writer.handle)
    ready_on(device_array(theirs), cuda_device, reader)
    assert download_array(cuda_device, array, reader).tolist() == [5] * 4
    array.close(), staged.close(), writer.close(), reader.close()
