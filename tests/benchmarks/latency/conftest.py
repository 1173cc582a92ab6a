# SPDX-License-Identifier: Apache-2.0
"""What tests that load a fake on a virtual clock share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def unswept() -> Iterator[None]:
    """A full collection in the heap of a test run takes 0.1 s, and drivers make one before each round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)
        yield
