# SPDX-License-Identifier: Apache-2.0
"""Sessions on engines of TensorRT-RTX: the same as those of TensorRT, on the other library."""

from __future__ import annotations

from functools import partial

from stillflow.sessions import tensorrt

open_session = partial(tensorrt.open_session, library="tensorrt_rtx")
