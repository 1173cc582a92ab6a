# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_bench.latency.subject import Subject, parse_subject


def test_a_subject_is_read_as_a_person_types_it() -> None:
    found = parse_subject("engine=openvino, size=360p, threads=1, moving=0.3")
    assert (found.engine, found.width, found.height, found.threads, found.moving) == (
        "openvino",
        640,
        360,
        1,
        0.3,
    )
    assert found.size == "360p"
    assert parse_subject("size=1000x600").size == "1000x600"
    assert parse_subject("moving=none", found).moving is None
    assert parse_subject("", found) == found


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("engine", "'engine'"),
        ("colour=red", "'colour'"),
        ("size=big", "'big'"),
        ("size=0x0", "0x0"),
        ("size=99999x9", "99999x9"),
        ("threads=many", "threads"),
        ("moving=1.5", "1.5"),
        ("moving=nan", "nan"),
        ("threads=0", "0 threads"),
        ("seconds=inf", "inf seconds"),
        ("fps=nan", "nan frames"),
        ("fps=0", "0.0 frames"),
    ],
)
def test_what_it_cannot_be_is_said(text: str, named: str) -> None:
    with pytest.raises(StillflowError, match=named):
        parse_subject(text)


@given(st.text(max_size=40))
def test_any_text_is_a_subject_or_is_refused_with_a_fix(text: str) -> None:
    try:
        parse_subject(text)
    except StillflowError as error:
        assert "size=720p" in error.fix


@given(
    st.builds(
        Subject,
        engine=st.sampled_from(["auto", "openvino"]),
        width=st.integers(16, 5000),
        moving=st.none() | st.floats(0, 1),
        threads=st.none() | st.integers(1, 64),
    )
)
def test_a_subject_survives_a_file(subject: Subject) -> None:
    assert msgspec.json.decode(msgspec.json.encode(subject), type=Subject) == subject
