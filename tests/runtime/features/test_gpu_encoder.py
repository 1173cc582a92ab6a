# SPDX-License-Identifier: Apache-2.0
"""What a GPU keeps of a photo is what the CPU keeps, in whatever tiles it was encoded."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the generators here run in torch: pip install 'stillflow[export]'"
)

from stillflow.errors import StillflowError  # noqa: E402
from stillflow.features.gpu_encoder import encode_photo  # noqa: E402
from stillflow.features.layered import layered_painter  # noqa: E402
from stillflow.features.painter import plain_painter  # noqa: E402
from stillflow.gpu.trouble import OutOfMemoryError  # noqa: E402
from stillflow.kernels.cuda_splat import stride_of  # noqa: E402

from ..scenes import textured  # noqa: E402
from .device_sessions import on_device  # noqa: E402
from .generators import Generator  # noqa: E402

pytestmark = pytest.mark.device


def planar(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo.transpose(2, 0, 1) / np.float32(127.5) - 1)


class Encoded:
    """A photo encoded on a device, fetched."""

    def __init__(self, device, photo, networks, size=None, sessions=None):
        size = size or photo.shape[:2]
        sessions = sessions or on_device(networks, device)
        stream = device.stream()
        try:
            with closing(encode_photo(photo, size, networks, sessions, device, stream)) as made:
                self.source = made.source
                values = self.fetch(
                    device, stream, made.source.values, (*size, stride_of(made.source.channels))
                )
                self.values = values[..., : made.source.channels]
                if made.background is not None:
                    self.background = self.fetch(device, stream, made.background, (3, *size))
                    self.standing = self.fetch(device, stream, made.standing, size)
        finally:
            stream.synchronize()
            stream.close()
        for session in sessions.values():
            session.close()

    @staticmethod
    def fetch(device, stream, address, shape):
        out = np.empty(shape, np.float32)
        device.download(address, out, stream)
        stream.synchronize()
        return out


@pytest.mark.parametrize("floor", [None, -1.0])
def test_one_layer_is_that_of_the_cpu(cuda_device, floor):
    generator, photo = Generator(), textured(132, 100)
    made = Encoded(cuda_device, photo, generator.networks(weight_floor=floor))
    expected = plain_painter(planar(photo), generator.networks(weight_floor=floor)).thrower.source
    assert made.source.ends == expected.ends and made.source.shape == expected.shape
    # The exponential of another library may round to the next float32.
    np.testing.assert_allclose(made.values, expected.values, rtol=3e-7, atol=0)
    tiled = Encoded(cuda_device, photo, generator.networks(12_000, weight_floor=floor))
    assert np.abs(tiled.values - expected.values).max() <= 1e-5


@pytest.mark.parametrize("alpha_weight", ["share", "features"])
def test_two_layers_are_those_of_the_cpu(cuda_device, alpha_weight):
    photo, networks = textured(40, 52), replace(Generator().networks(layers=True), alpha_weight=alpha_weight)
    made, expected = Encoded(cuda_device, photo, networks), layered_painter(planar(photo), networks)
    assert made.source.ends == expected.thrower.source.ends
    np.testing.assert_allclose(made.values, expected.thrower.source.values, rtol=3e-7, atol=0)
    np.testing.assert_allclose(made.standing, expected.standing, rtol=3e-7, atol=0)
    assert np.array_equal(made.background, expected.fill)


def test_beyond_the_photo_its_last_row_and_column_go_on(cuda_device):
    photo, networks = textured(37, 43), Generator().networks()
    made = Encoded(cuda_device, photo, networks, (40, 48))
    padded = np.pad(photo, ((0, 3), (0, 5), (0, 0)), mode="edge")
    expected = plain_painter(planar(padded), networks).thrower.source.values
    np.testing.assert_allclose(made.values, expected, rtol=3e-7, atol=0)


def test_a_weight_that_is_no_number_is_refused(cuda_device):
    networks = Generator().networks()
    sessions = on_device(networks, cuda_device)
    run = sessions["encoder"].run

    def broken(inputs):
        made = {name: array.copy() for name, array in run(inputs).items()}
        made["weight"][0, 0, 17, 31] = np.inf
        return made

    sessions["encoder"].run = broken
    with pytest.raises(StillflowError, match="not finite"):
        Encoded(cuda_device, textured(40, 52), networks, sessions=sessions)


@pytest.mark.parametrize("wrong", ["size", "channels", "name"])
def test_outputs_that_do_not_fit_are_refused(cuda_device, wrong):
    networks = Generator().networks()
    sessions = on_device(networks, cuda_device)
    run = sessions["encoder"].run

    def broken(inputs):
        made = run(inputs)
        weight = made.pop("weight")
        if wrong == "size":
            made["weight"] = weight[..., 1:]
        elif wrong == "channels":
            made["weight"] = np.concatenate([weight, weight], 1)
        return made

    sessions["encoder"].run = broken
    with pytest.raises(StillflowError, match="do not agree"):
        Encoded(cuda_device, textured(40, 52), networks, sessions=sessions)


def test_short_memory_makes_smaller_tiles_until_there_are_none(cuda_device):
    networks, photo = Generator().networks(), textured(160, 240)
    sessions = on_device(networks, cuda_device)
    run, room = sessions["encoder"].run, 20_000

    def scarce(inputs):
        if inputs["photo"][0, 0].size > room:
            raise OutOfMemoryError("cannot run", "there is none", "free some")
        return run(inputs)

    sessions["encoder"].run = scarce
    made = Encoded(cuda_device, photo, networks, sessions=sessions)
    assert len(set(sessions["encoder"].sizes)) > 1 and sessions["encoder"].sizes[-1] <= room
    expected = plain_painter(planar(photo), networks).thrower.source.values
    assert np.abs(made.values - expected).max() <= 1e-5
    room = 100
    with pytest.raises(OutOfMemoryError):
        Encoded(cuda_device, photo, networks, sessions=sessions)
