# SPDX-License-Identifier: Apache-2.0
"""What CUDA refuses becomes an error of the kind that a caller can act on."""

from __future__ import annotations

import pickle

import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError, SpoiltRecordingError, refusal


@pytest.mark.parametrize(
    ("status", "kind", "fix"),
    [
        (2, OutOfMemoryError, "smaller (--size)"),
        (4, LostDeviceError, "start the program again"),
        (46, StillflowError, "for itself"),
        (802, StillflowError, "fabricmanager"),
        (214, LostDeviceError, "start the program again"),
        (700, LostDeviceError, "start the program again"),
        (709, LostDeviceError, "start the program again"),
        (716, LostDeviceError, "start the program again"),
        (719, LostDeviceError, "start the program again"),
        (1, StillflowError, "--device cpu"),
        (101, StillflowError, "nvidia-smi"),
        (209, StillflowError, "cache prune"),
        (500, StillflowError, "doctor"),
        (804, StillflowError, "newer driver"),
        (900, StillflowError, "doctor"),
        (901, SpoiltRecordingError, "wait for streams"),
        (98765, StillflowError, "doctor"),
    ],
)
def test_a_refusal_has_its_kind_and_its_way_out(status, kind, fix):
    error = refusal(status, "cuMemAlloc", "said the driver", "12 MiB")
    assert type(error) is kind
    assert fix in error.fix
    assert error.why == f"cuMemAlloc says {status}: said the driver (12 MiB)"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)


def test_what_was_wanted_need_not_be_said():
    assert refusal(1, "cuInit", "no").why == "cuInit says 1: no"
