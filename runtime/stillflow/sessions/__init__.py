# SPDX-License-Identifier: Apache-2.0
"""Sessions: a loaded graph that maps named arrays to named arrays, on one of several engines."""

from stillflow.sessions.registry import EngineStatus, engine_statuses, open_session
from stillflow.sessions.session import (
    Arithmetic,
    Device,
    DeviceSession,
    NoEngineError,
    Session,
    TensorSpec,
    cuda_index,
)

__all__ = [
    "Arithmetic",
    "Device",
    "DeviceSession",
    "EngineStatus",
    "NoEngineError",
    "Session",
    "TensorSpec",
    "cuda_index",
    "engine_statuses",
    "open_session",
]
