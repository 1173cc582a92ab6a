# SPDX-License-Identifier: Apache-2.0
"""What CUDA refuses, in words, and as kinds that a caller may act on."""

from __future__ import annotations

from stillflow.errors import StillflowError

_LOST = {4, 214, 220, 226, 700, 702, *range(709, 712), *range(714, 722)}
"""CUresult after which a context does nothing more: a driver that has shut down, errors of memory and of links, and
everything a kernel can die of."""

_SPOILT = 901
"""CUDA_ERROR_STREAM_CAPTURE_INVALIDATED. What is not allowed in a recording has another status: it is told where it is
called. This one is for whoever else takes part."""

_FIXES = {
    3: "start the program again; see stillflow doctor",
    46: "end the program that has this GPU for itself, or let several use it: nvidia-smi -c 0",
    100: "check that nvidia-smi lists a GPU and what CUDA_VISIBLE_DEVICES says; see stillflow doctor",
    101: "name a device that nvidia-smi lists; see stillflow doctor",
    200: "empty the cache of compiled kernels with `stillflow cache prune --all`, and try again",
    209: "empty the cache of compiled kernels with `stillflow cache prune --all`, and try again",
    222: "install a newer driver; see stillflow doctor",
    802: "start what joins the GPUs of this machine: sudo systemctl start nvidia-fabricmanager",
    803: "install the driver's two halves in one version, or start the machine again",
    804: "install a newer driver; forward compatibility does not work on this GPU",
}
"""CUresult -> fix, where one is known."""


class OutOfMemoryError(StillflowError):
    """The device has no memory left: fewer lanes, smaller tiles or a smaller size may do."""


class SpoiltRecordingError(StillflowError):
    """Another thread waited for the whole device while a graph was recorded; recorded again, it may come about."""


class LostDeviceError(StillflowError):
    """The device does nothing more in this process: an error that CUDA never recovers from, or it is gone."""


def fix_of(status: int) -> str:
    """What to do about a refusal of CUDA's driver, where that is known; "" otherwise."""
    return _FIXES.get(status, "")


def refusal(status: int, call: str, said: str, wanted: str = "") -> StillflowError:
    """Return what to raise for a refusal of CUDA's driver.

    Args:
        status: CUresult, not 0.
        call: the function that returned it.
        said: the driver's words for it.
        wanted: what was asked for, such as "512 MiB".
    """
    why = f"{call} says {status}: {said}" + (f" ({wanted})" if wanted else "")
    if status == 2:
        return OutOfMemoryError(
            "the GPU has no memory left",
            why,
            "end other programs that use it, make the loop smaller (--size), or use the CPU (--device cpu)",
        )
    if status in _LOST:
        return LostDeviceError(
            "the GPU does not answer this program any more",
            why,
            "start the program again; see stillflow doctor",
        )
    if status == _SPOILT:
        return SpoiltRecordingError(
            "a CUDA graph was not recorded",
            why,
            "wait for streams and not for the whole device while frames begin to play",
        )
    fix = fix_of(status) or "see stillflow doctor, or use the CPU (--device cpu)"
    return StillflowError("the GPU does not do what it was asked for", why, fix)
