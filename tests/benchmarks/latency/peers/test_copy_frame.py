# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from stillflow_bench.latency.inputs import photo_files, photo_of, short_digest
from stillflow_bench.latency.peers import copy_frame
from stillflow_bench.latency.peers.copy_frame import open_target

FRAME = 96 * 64 * 3


def test_a_copy_walks_through_a_ring(spec_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_frame, "RING", 7 * FRAME)
    spec = spec_of("copy", "B3.next")
    target = open_target(spec)
    assert (target.inputs, target.facts.notes["ring_bytes"]) == (2, 2 * (7 + 3) * FRAME)
    for _ in range(8):
        for index, path in enumerate(photo_files(spec.photos)):
            pixels = photo_of(path, spec.subject).pixels
            for out in target._outs[index]:
                out[:] = 0
            assert target.query(index).digest() == short_digest({"frame": pixels})
            assert sum(bool(out.any()) for out in target._outs[index]) == 1
    held = [id(array) for ring in (target._sources, target._outs) for arrays in ring for array in arrays]
    assert len(set(held)) == 20, "no memory twice"
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    target.close()
