# SPDX-License-Identifier: Apache-2.0
"""Opens a GPU by the library that fits this process, after the driver itself was asked whether it can be.

Libraries that load the driver on their own fail late and in many ways where it is missing or too old; some wait for
minutes. What `find_gpu` asks takes milliseconds and says why.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Literal

from stillflow.errors import StillflowError
from stillflow.gpu.description import cuda_version, find_gpu, gpu_count, why_no_gpu
from stillflow.gpu.layer import CudaDevice

Provider = Literal["auto", "cuda-core", "pycuda"]


def open_device(index: int = 0, provider: Provider = "auto", *, keep: int = 0) -> CudaDevice:
    """Open a GPU; close it when what was made by it is closed.

    Args:
        index: as CUDA counts them (CUDA_VISIBLE_DEVICES included).
        provider: the library that answers; auto: PyCUDA where one of its contexts is current in this thread on that
            device, else cuda-core.
        keep: bytes of memory that is given back and kept for later; see `cuda_core.open_device`. PyCUDA keeps none.

    Raises:
        StillflowError: there is no driver, no such device, the driver is older than the toolkit, the library is not
            installed, or the device refuses.
    """
    _check(index)
    if provider == "pycuda" or (provider == "auto" and pycuda_is_here(index)):
        if importlib.util.find_spec("pycuda") is None:
            raise StillflowError(
                f"cannot use GPU {index} through PyCUDA",
                "it is not installed",
                "pip install 'stillflow[pycuda]', or use the provider cuda-core",
            )
        from stillflow.gpu import pycuda

        return pycuda.open_device(index)
    _check_toolkit(index)
    from stillflow.gpu import cuda_core

    return cuda_core.open_device(index, keep=keep)


def _check(index: int) -> None:
    if index < 0:
        raise StillflowError(f"cannot use GPU {index}", "devices are counted from 0", "name one from 0 on")
    if find_gpu(index) is not None:
        return
    count = gpu_count()
    if count == 0:
        why, fix, _ = why_no_gpu()
        raise StillflowError(f"cannot use GPU {index}", why, fix)
    fewer = "the only GPU here is number 0" if count == 1 else f"the GPUs here are numbers 0 to {count - 1}"
    raise StillflowError(
        f"cannot use GPU {index}", fewer, "name one of these; CUDA_VISIBLE_DEVICES hides and orders them"
    )


def pycuda_is_here(index: int) -> bool:
    """Whether this thread holds a PyCUDA context on a device; PyCUDA is not loaded to find out."""
    pycuda = sys.modules.get("pycuda.driver")
    if pycuda is None:
        return False
    try:
        if pycuda.Context.get_current() is None:
            return False
        return bool(pycuda.Context.get_device() == pycuda.Device(index))
    except pycuda.Error:
        return False


def for_older_driver(major: int) -> str:
    """The fix where a driver knows a major version of CUDA that is older than the libraries'."""
    fix = "install a newer driver"
    # CUDA 13 and 12 are all that pyproject.toml has libraries for.
    return f"{fix}, or the libraries for this one: pip install 'stillflow[cuda12]'" if major == 12 else fix


def _check_toolkit(index: int) -> None:
    """Kernels that were compiled by one major version of CUDA do not run on a driver of the one before."""
    try:
        import cuda.bindings
        import cuda.core
    except ImportError as error:
        raise StillflowError(
            f"cannot use GPU {index}",
            f"cuda-core is not installed ({error})",
            "pip install 'stillflow[cuda]'",
        ) from error
    driver, toolkit = cuda_version(), int(cuda.bindings.__version__.split(".")[0])
    if driver is not None and driver[0] < toolkit:
        raise StillflowError(
            f"cannot use GPU {index}",
            f"its driver knows CUDA {driver[0]}.{driver[1]}, and cuda-bindings here is of CUDA {toolkit}",
            for_older_driver(driver[0]),
        )
