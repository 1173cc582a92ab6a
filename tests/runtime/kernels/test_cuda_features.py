# SPDX-License-Identifier: Apache-2.0
"""The kernels around the splat of a feature scene are what features/ says in NumPy, for any picture."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.features.feature_scene import FEATHER, FeatureScene
from stillflow.features.gpu_encoder import SOURCE, Piece
from stillflow.features.gpu_painter import _Photo
from stillflow.features.gpu_scratch import SIDE, Canvas
from stillflow.gpu.arrays import download_array, upload_array
from stillflow.kernels.cuda_splat import RUN, CWindow
from stillflow.kernels.splat_source import Window, layered_source, weights_of

pytestmark = pytest.mark.device

seeds = st.integers(0, 100_000)
within_module = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Desk:
    """Arrays on a device, and kernels that are run over them, for one example."""

    def __init__(self, device):
        self.device, self.kernels = device, device.kernels(SOURCE)

    def __enter__(self):
        self.owned = ExitStack()
        self.stream = self.device.stream()
        self.owned.callback(self.stream.close)
        return self

    def __exit__(self, *_):
        self.stream.synchronize()
        self.owned.close()

    def put(self, array):
        made = upload_array(self.device, np.ascontiguousarray(array), self.stream)
        self.owned.callback(made.close)
        return made

    def run(self, kernel, items, *arguments):
        def plain(a):
            if isinstance(a, int):
                return ctypes.c_int(a)
            return ctypes.c_void_p(getattr(a, "address", None)) if not isinstance(a, ctypes.Structure) else a

        self.kernels.launch(
            kernel, items, self.stream, *(a if isinstance(a, ctypes.c_float) else plain(a) for a in arguments)
        )

    def fetch(self, array):
        return download_array(self.device, array, self.stream)


@within_module
@given(data=st.data(), seed=seeds, holes=st.sampled_from([0.0, 0.002, 0.05, 1.0]), layers=st.booleans())
def test_what_was_painted_is_put_over_the_photo(cuda_device, data, seed, holes, layers):
    rng = np.random.default_rng(seed)
    height, width = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 50))
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    photo = rng.integers(0, 256, (rows, columns, 3)).astype(np.uint8)
    matte = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), (rows, columns))
    frame = rng.uniform(-1.2, 1.2, (3, height, width)).astype(np.float32)
    closed = (rng.random((height, width)) >= holes).astype(np.float32)
    background = rng.uniform(-1, 1, (3, height, width)).astype(np.float32)
    fluid, standing = (rng.random((height, width)).astype(np.float32) for _ in range(2))
    padded = np.pad(photo, ((0, height - rows), (0, width - columns), (0, 0)), mode="edge")
    fill = background if layers else np.moveaxis(padded, -1, 0) / np.float32(127.5) - 1
    painted = frame
    if layers:
        painted = (fluid * frame + standing * background) / np.maximum(fluid + standing, np.float32(1e-8))
    y0, x0 = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    window = Window(y0, data.draw(st.integers(y0 + 1, rows)), x0, data.draw(st.integers(x0 + 1, columns)))
    scene = SimpleNamespace(photo=photo, matte=matte, painter=SimpleNamespace(fill=fill.astype(np.float32)))
    expected = photo.copy()
    whole = Window(0, height, 0, width)
    FeatureScene._show(scene, window, whole, painted, closed, expected[window.y0 : window.y1])

    with Desk(cuda_device) as desk:
        canvas_arrays = [
            desk.put(np.full((3, height, width), np.nan, np.float32)),
            desk.put(np.full((height, width), 9, np.uint8)),
            desk.put(np.zeros((-(-height // SIDE), -(-width // SIDE)), np.uint8)),
        ]
        canvas = Canvas(height, width, *(array.address for array in canvas_arrays))
        behind = desk.put(background) if layers else None
        alphas = (desk.put(fluid), desk.put(standing), behind) if layers else (None, None, None)
        everything = Piece(CWindow(*whole), CWindow(*whole))
        made = desk.put(frame), desk.put(closed)
        desk.run("sf_paint", height * width, everything, canvas, *made, *alphas)
        out = desk.put(photo)
        about = _Photo(rows, columns, desk.put(photo).address, desk.put(matte).address)
        desk.run("sf_show", _area(window), CWindow(*window), about, canvas, behind, FEATHER, out)
        found = desk.fetch(out)
    assert np.abs(found.astype(int) - expected).max() <= 1
    still = np.ones((rows, columns), bool)
    still[window.y0 : window.y1, window.x0 : window.x1] = (
        matte[window.y0 : window.y1, window.x0 : window.x1] == 0
    )
    assert np.array_equal(found[still], photo[still])


@within_module
@given(seed=seeds, count=st.integers(1, 2000), floor=st.sampled_from([None, -0.5, -30.0]), odd=st.booleans())
def test_weights_are_those_of_the_law(cuda_device, seed, count, floor, odd):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 30, count).astype(np.float32)
    if odd:
        logits[rng.integers(count)] = rng.choice([np.nan, np.inf, -np.inf])
    with Desk(cuda_device) as desk:
        numbers = given_ = desk.put(logits)
        left = count
        while left > 1 or numbers is given_:
            peaks = desk.put(np.zeros(-(-left // RUN), np.float32))
            desk.run("sf_peak", -(-left // RUN), numbers, left, RUN, peaks)
            numbers, left = peaks, -(-left // RUN)
        peak = desk.fetch(numbers)[0]
        if odd:
            assert np.isnan(peak)
            return
        assert peak == logits.max()
        least = ctypes.c_float(-np.inf if floor is None else floor)
        desk.run("sf_weights", count, given_, count, numbers, least)
        np.testing.assert_allclose(desk.fetch(given_), weights_of(logits, floor), rtol=3e-7, atol=1e-44)


@within_module
@given(seed=seeds, height=st.integers(1, 12), width=st.integers(1, 12), spread=st.sampled_from([1, 30, 1e30]))
def test_alphas_are_those_of_the_law(cuda_device, seed, height, width, spread):
    rng = np.random.default_rng(seed)
    fluid, standing = (rng.normal(0, spread, (height, width)).astype(np.float32) for _ in range(2))
    zeros = np.zeros((height, width), np.float32)
    expected = layered_source(fluid[None], zeros, fluid, standing).values[..., 3]
    with Desk(cuda_device) as desk:
        places = desk.put(fluid), desk.put(standing)
        weight = desk.put(zeros)
        desk.run("sf_alphas", height * width, *places, height * width, weight)
        np.testing.assert_allclose(desk.fetch(weight), expected, rtol=3e-7)
        logistic = 1 / (1 + np.exp(-np.clip(standing.astype(np.float64), -700, 700)))
        np.testing.assert_allclose(desk.fetch(places[1]), logistic, rtol=3e-7, atol=1e-44)


@within_module
@given(data=st.data(), seed=seeds, channels=st.integers(1, 9))
def test_pieces_are_cut_and_kept_where_they_belong(cuda_device, data, seed, channels):
    rng = np.random.default_rng(seed)
    height, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    outer, core = Window(0, height, 0, width), Window(0, height, 0, width)
    for name in ("outer", "core"):
        around = outer
        y0, x0 = (data.draw(st.integers(around[k], around[k + 1] - 1)) for k in (0, 2))
        found = Window(
            y0, data.draw(st.integers(y0 + 1, around.y1)), x0, data.draw(st.integers(x0 + 1, around.x1))
        )
        outer, core = (found, found) if name == "outer" else (outer, found)
    made = rng.normal(size=(channels, outer.y1 - outer.y0, outer.x1 - outer.x0)).astype(np.float32)
    inner = made[:, core.y0 - outer.y0 : core.y1 - outer.y0, core.x0 - outer.x0 : core.x1 - outer.x0]
    place = np.s_[core.y0 : core.y1, core.x0 : core.x1]
    stride = channels + 3
    photo = rng.integers(0, 256, (max(1, height - 3), max(1, width - 2), 3)).astype(np.uint8)
    with Desk(cuda_device) as desk:
        of, array = Piece(CWindow(*outer), CWindow(*core)), desk.put(made)
        planes = desk.put(np.zeros((channels, height, width), np.float32))
        desk.run("sf_keep", channels * _area(core), of, channels, array, height, width, planes)
        expected = np.zeros((channels, height, width), np.float32)
        expected[:, place[0], place[1]] = inner
        assert np.array_equal(desk.fetch(planes), expected)
        values = desk.put(np.full((height, width, stride), 7, np.float32))
        items = _area(core) * -(-channels // 4)
        desk.run("sf_interleave", items, of, channels, array, width, stride, values)
        expected = np.full((height, width, stride), 7, np.float32)
        expected[place][..., :channels] = np.moveaxis(inner, 0, -1)
        assert np.array_equal(desk.fetch(values), expected)
        cut = desk.put(np.zeros((3, outer.y1 - outer.y0, outer.x1 - outer.x0), np.float32))
        desk.run("sf_cut", _area(outer), desk.put(photo), *photo.shape[:2], CWindow(*outer), cut)
        ys, xs = np.arange(outer.y0, outer.y1), np.arange(outer.x0, outer.x1)
        near = photo[np.minimum(ys, len(photo) - 1)][:, np.minimum(xs, photo.shape[1] - 1)]
        expected = np.moveaxis(near, -1, 0) / np.float32(127.5) - np.float32(1)
        assert np.array_equal(desk.fetch(cut), expected)


def _area(window):
    return (window.y1 - window.y0) * (window.x1 - window.x0)
