# SPDX-License-Identifier: Apache-2.0
"""The driver is called as it wants to be, memory comes back, and its refusals are told."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.kernels.cuda_device import CudaDevice


@pytest.fixture
def device(host_driver):
    made = CudaDevice(driver=host_driver, code=b"of no use to a CPU")
    yield made
    made.close()
    assert made._driver.host_held() == 0


def test_memory_goes_there_and_back(device):
    data = np.arange(1000, dtype=np.float32)
    address = device.allocate(data.nbytes)
    device.upload(data, address)
    back = np.zeros_like(data)
    device.download(address, back)
    device.free(address)
    assert np.array_equal(back, data)
    assert device.architecture == "sm_87"


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 5000])
def test_every_item_gets_one_thread(device, count):
    numbers = np.arange(1, 6001, dtype=np.uint32)
    address = device.allocate(numbers.nbytes)
    device.upload(numbers, address)
    device.launch("sf_clear", count, ctypes.c_void_p(address), ctypes.c_int(count))
    back = np.empty_like(numbers)
    device.download(address, back)
    device.free(address)
    assert not back[:count].any() and np.array_equal(back[count:], numbers[count:])


def test_refusals_of_the_driver_are_told(device):
    with pytest.raises(StillflowError, match="not found"):
        device.launch("sf_nonsense", 1)
    with pytest.raises(StillflowError, match="cuMemAlloc"):
        device.allocate(1 << 40)
    with pytest.raises(StillflowError, match="cuMemFree"):
        device.free(4096)
    address = device.allocate(16)
    for copy in (
        lambda: device.upload(np.zeros(5, np.uint32), address),
        lambda: device.download(0, np.zeros(1)),
    ):
        with pytest.raises(StillflowError, match="illegal address"):
            copy()
    device.free(address)


def test_a_kernel_that_writes_too_far_is_found(device):
    address = device.allocate(16)
    device.launch("sf_clear", 5, ctypes.c_void_p(address), ctypes.c_int(5))
    with pytest.raises(StillflowError, match="illegal address"):
        device.free(address)


def test_a_device_whose_kernels_do_not_load_is_let_go(host_driver):
    with pytest.raises(ctypes.ArgumentError):
        CudaDevice(driver=host_driver, code=object())
    assert ctypes.CDLL(host_driver).host_held() == 0


def test_a_device_that_is_not_there_is_refused(host_driver):
    with pytest.raises(StillflowError, match="cuDeviceGet"):
        CudaDevice(index=3, driver=host_driver, code=b"")


def test_without_a_driver_the_way_out_is_told():
    with pytest.raises(StillflowError, match="kernels in C"):
        CudaDevice(driver="libcuda_that_nobody_has.so.1")
