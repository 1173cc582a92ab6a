# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of

from .conftest import Spec


def test_photos_are_of_the_subjects_size(spec: Spec) -> None:
    files, photos = photos_of(spec("frame", "B3.frame"), most=2)
    assert [file.name for file in files] == ["a.jpg", "b.jpg"]
    assert [(photo.width, photo.height) for photo in photos] == [(96, 64)] * 2


def test_facts_are_of_the_networks_that_are_loaded(spec: Spec) -> None:
    animator = animator_of(spec("frame", "B3.frame", precision="fp16", threads=None).subject)
    animator.session("generator")
    facts = facts_of(animator, ["hash"], [], {"more": 1})
    assert facts.precision == {"generator": "fp16"} and set(facts.hashes) == {"bundle", "generator"}
    assert facts.receipts["generator"]["gate"] == "B"
    assert facts.notes["threads"]["generator"] == 0 and facts.notes["threads"]["cores"] >= 1
    assert facts.notes["more"] == 1 and facts.inputs == ["hash"]
    animator.close()
