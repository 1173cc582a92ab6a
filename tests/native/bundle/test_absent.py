# SPDX-License-Identifier: Apache-2.0
"""The calls of bundles in a library without networks."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import pytest

from ..internals import FLAGS, INCLUDES, NATIVE, Error

UNSUPPORTED = 5


@pytest.fixture(scope="module")
def player(tmp_path_factory) -> ctypes.CDLL:
    """absent.c as it is built with STILLFLOW_NETWORKS=OFF, and what it calls."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    made = tmp_path_factory.mktemp("player") / "player.so"
    sources = [str(NATIVE / "src" / name) for name in ("bundle/absent.c", "room.c")]
    flags = (*FLAGS, "-O0", "-pedantic", "-DSF_NO_NETWORKS", "-shared")
    subprocess.run(["cc", *flags, *INCLUDES, *sources, "-o", str(made)], check=True)
    return ctypes.CDLL(str(made))


@pytest.mark.parametrize(
    ("name", "arguments", "makes"),
    [("sf_bundle_open", 1, True), ("sf_bundle_test", 1, False), ("sf_bundle_loop", 3, True)],
)
def test_every_call_says_what_to_do(player, name, arguments, makes):
    """The result's pointer is emptied; nothing else is looked at."""
    error, made = Error(), ctypes.c_void_p(64)
    given = [None] * arguments + ([ctypes.byref(made)] if makes else [])
    assert getattr(player, name)(*given, ctypes.byref(error)) == UNSUPPORTED == error.status
    assert b"STILLFLOW_NETWORKS=ON" in error.fix and b"only plays" in error.why
    assert made.value == (None if makes else 64)
    assert getattr(player, name)(*[None] * len(given), None) == UNSUPPORTED


def test_there_is_nothing_to_close(player):
    player.sf_bundle_close(None)
