# SPDX-License-Identifier: Apache-2.0
"""A GPU that cannot be opened is refused at once, with the reason and the way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu, why_no_gpu
from stillflow.gpu.open import open_device


def elsewhere(program: str, **environment: str) -> object:
    """Run a program in a process of its own, whose last line is JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


TRY = """
import json
from stillflow.errors import StillflowError
from stillflow.gpu.open import open_device
try:
    device = open_device({index})
    print(json.dumps([device.provider, str(device.index)]))
    device.close()
except StillflowError as error:
    print(json.dumps([error.why, error.fix]))
"""


@pytest.mark.skipif(find_gpu() is not None, reason="there is a CUDA device here")
def test_without_a_driver_the_reason_is_told_at_once():
    with pytest.raises(StillflowError, match="cannot use GPU 0") as caught:
        open_device()
    assert "--device cpu" in caught.value.fix or "driver" in caught.value.fix


@pytest.mark.parametrize("index", [-1, -7])
def test_devices_are_counted_from_0(index):
    with pytest.raises(StillflowError, match="counted from 0"):
        open_device(index)


@pytest.mark.device
def test_a_device_is_opened(cuda_device):
    device = open_device()
    assert device.provider.startswith("cuda-core ") and device.index == 0
    assert device.architecture == cuda_device.architecture
    device.close()
    device.close()


@pytest.mark.device
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(StillflowError, match="cannot use GPU 99") as caught:
        open_device(99)
    assert "CUDA_VISIBLE_DEVICES" in caught.value.fix


@pytest.mark.device
@pytest.mark.stand_in
def test_a_driver_older_than_the_toolkit_is_refused():
    why, fix = elsewhere(TRY.format(index=0), STAND_IN_VERSION="12060")
    assert "CUDA 12.6" in why and "stillflow[cuda12]" in fix


@pytest.mark.device
@pytest.mark.stand_in
def test_a_driver_without_devices_is_told_apart():
    why, _ = elsewhere(TRY.format(index=0), STAND_IN_DEVICES="0")
    assert "no GPU" in why


@pytest.mark.device
@pytest.mark.stand_in
def test_a_driver_that_does_not_start_is_told_with_what_helps():
    why, fix = elsewhere(TRY.format(index=0), STAND_IN_FAIL="cuInit:0:802")
    assert "cuInit returned 802" in why and "nvidia-fabricmanager" in fix


@pytest.mark.device
@pytest.mark.stand_in
def test_a_gpu_that_another_program_has_for_itself_is_told():
    why, fix = elsewhere(TRY.format(index=0), STAND_IN_FAIL="cuDevicePrimaryCtxRetain:1:46")
    assert "cuDevicePrimaryCtxRetain says 46" in why and "for itself" in fix


@pytest.mark.device
@pytest.mark.stand_in
def test_the_second_of_two_devices_is_opened():
    provider, index = elsewhere(TRY.format(index=1), STAND_IN_DEVICES="2")
    assert provider.startswith("cuda-core") and index == "1"
    why, _ = elsewhere(TRY.format(index=2), STAND_IN_DEVICES="2")
    assert "0 to 1" in why


@pytest.mark.device
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_was_forked_says_so(cuda_device):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            open_device(cuda_device.index)
            os.write(writing, b"opened")
        except StillflowError as error:
            _, _, idle = why_no_gpu()  # or auto would take the CPU in silence
            os.write(writing, f"{error.why}: {error.fix}; idle: {idle}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 1000).decode()
    os.close(reading), os.close(writing)
    assert "forked" in said and "spawn" in said and said.endswith("idle: True")
