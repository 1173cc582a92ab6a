# SPDX-License-Identifier: Apache-2.0
"""The error type: three phrases, one text, and it survives the way between processes."""

from __future__ import annotations

import pickle

from stillflow.errors import StillflowError


def test_text_says_what_why_and_fix() -> None:
    error = StillflowError("cannot read a.jpg", "there is no such file", "check the name")
    assert str(error) == "cannot read a.jpg: there is no such file\n  fix: check the name"


def test_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(StillflowError("what", "why", "fix")))
    assert (error.what, error.why, error.fix) == ("what", "why", "fix")
