# SPDX-License-Identifier: Apache-2.0
"""Requests are checked as they are read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.worker.requests import Animate, Frames, id_of, read_request


def read(**members: object):
    return read_request(json.dumps(members).encode())


def test_what_is_left_out_has_its_default():
    request = read(type="animate", id=1, photo="x.jpg")
    assert isinstance(request, Animate)
    assert (request.seconds, request.fps, request.seed, request.arrows, request.force) == (
        4.0,
        30.0,
        0,
        [],
        False,
    )


def test_members_that_are_not_known_are_ignored():
    assert isinstance(read(type="frames", id=1, loop="a", colour="red"), Frames)


@pytest.mark.parametrize(
    "members",
    [
        {"type": "frames", "id": 1},
        {"type": "frames", "id": 1, "loop": "a", "width": 0},
        {"type": "frames", "id": 1, "loop": "a", "width": 65536},
        {"type": "frames", "id": 1, "loop": "a", "count": 0},
        {"type": "frames", "id": 1, "loop": "a", "memory": {"name": "../x", "bytes": 1}},
        {"type": "frames", "id": 1, "loop": "a", "memory": {"name": "x", "bytes": 0}},
        {"type": "frames", "id": "i" * 65, "loop": "a"},
        {"type": "frames", "id": None, "loop": "a"},
        {"type": "frames", "id": 1 << 63, "loop": "a"},
        {"type": "frames", "id": 1.0, "loop": "a"},
        {"type": "frames", "id": True, "loop": "a"},
        {"type": "frames", "id": 1, "loop": "a", "memory": {"name": "a\0", "bytes": 1}},
        {"type": "free", "id": 1, "index": -1},
        {"type": "save", "id": 1, "loop": "a", "output": "a\0.mp4"},
        {"type": "bake", "id": 1, "loop": "a", "scene": "a\0.sflow"},
        {"type": "animate", "id": 1, "photo": ""},
        {"type": "save", "id": 1, "loop": "a", "output": "x.mp4", "loops": 0},
        {"id": 1},
        [],
    ],
)
def test_what_is_out_of_range_is_refused(members):
    with pytest.raises(StillflowError):
        read_request(json.dumps(members).encode())


def test_times_are_finite():
    with pytest.raises(StillflowError):
        read_request(b'{"type": "frames", "id": 1, "loop": "a", "times": [1e999]}')


@given(st.binary(max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        read_request(text)
    except StillflowError:
        assert id_of(text) is None or isinstance(id_of(text), (int, str))


def test_an_id_is_found_in_what_is_no_request():
    assert id_of(b'{"type": "dance", "id": "x", "to": []}') == "x"
    assert id_of(b"[1]") is None
    assert id_of(b"{") is None
