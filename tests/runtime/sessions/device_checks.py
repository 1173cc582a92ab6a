# SPDX-License-Identifier: Apache-2.0
"""What every session on a real GPU is held to."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from stillflow.gpu.arrays import download_array, upload_array
from stillflow.sessions import DeviceSession, Session


def hold_to(
    session: Session, inputs: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float
) -> None:
    """Run from the host, from several threads, and on two streams; results must be those expected."""

    def right(results: Mapping[str, Any]) -> bool:
        for name, value in results.items():
            np.testing.assert_allclose(value, expected[name], atol=tolerance, rtol=tolerance)
        return True

    assert right(session.run(inputs))
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: right(session.run(inputs)), range(8)))
    assert isinstance(session, DeviceSession)
    cuda = session.cuda
    streams = [cuda.stream() for _ in range(2)]
    given = [
        {name: upload_array(cuda, array, stream) for name, array in inputs.items()} for stream in streams
    ]
    for _ in range(3):
        results = [session.run_on(arrays, stream) for arrays, stream in zip(given, streams, strict=True)]
    for out, stream in zip(results, streams, strict=True):
        assert right({name: download_array(cuda, array, stream) for name, array in out.items()})
        session.release(stream)
    for part in (*given[0].values(), *given[1].values(), *streams):
        part.close()
    session.close()
