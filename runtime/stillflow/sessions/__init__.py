# SPDX-License-Identifier: Apache-2.0
"""Sessions: a loaded graph that maps named arrays to named arrays, on one of several engines."""

from stillflow.sessions.registry import EngineStatus, engine_statuses, open_session
from stillflow.sessions.session import Arithmetic, Device, Session, TensorSpec

__all__ = ["Arithmetic", "Device", "EngineStatus", "Session", "TensorSpec", "engine_statuses", "open_session"]
