# SPDX-License-Identifier: Apache-2.0
"""What CUDA refuses, in words, and as kinds that a caller may act on."""

from __future__ import annotations

from stillflow.errors import StillflowError


class OutOfMemoryError(StillflowError):
    """The device has no memory left: fewer lanes, smaller tiles or a smaller size may do."""


class LostDeviceError(StillflowError):
    """The device does nothing more in this process: an error that CUDA never recovers from, or it is gone."""
