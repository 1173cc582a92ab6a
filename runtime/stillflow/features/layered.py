# SPDX-License-Identifier: Apache-2.0
"""Generators with two layers: what flows is painted over a background that stands, as an alpha of its own says.

The fluid's alpha logit is thrown along with the features, by weights of its own; the background is painted once.
Frame = (fa fluid + ba background) / max(fa + ba, 1e-8), with fa from the decoder of what landed and ba as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stillflow.features.networks import FeatureNetworks
from stillflow.features.painter import Thrower, encoded, landed_inputs, photo_source, weigh
from stillflow.features.tiles import Arrays, TiledGraph
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.native_splat import NativeSplat
from stillflow.kernels.splat_source import LEAST_WEIGHT, SplatSource, Window, layered_source, weights_of


@dataclass(frozen=True, eq=False)
class LayeredPainter:
    """Two layers.

    Attributes:
        thrower: of features, the fluid's alpha logit, and the weights of both, of the padded photo.
        decoders: features and mask to frame, alpha and closed.
        fill: (3, H, W) float32 -1..1, the background.
        standing: (H, W) float32 0..1, the background's alpha.
    """

    thrower: Thrower
    decoders: TiledGraph
    fill: FloatArray
    standing: FloatArray

    def around(self, window: Window) -> Window:
        """See ``Painter.around``."""
        return self.decoders.outer(window, *self.thrower.source.shape)

    def paint(self, window: Window, native: NativeSplat) -> tuple[FloatArray, FloatArray]:
        """See ``Painter.paint``."""
        made = self.decoders.over(landed_inputs(native), window, *self.thrower.source.shape)
        rows, columns = slice(window.y0, window.y1), slice(window.x0, window.x1)
        fluid, background = made["alpha"], self.standing[rows, columns]
        mixed = fluid * made["frame"] + background * self.fill[:, rows, columns]
        mixed /= np.maximum(fluid + background, np.float32(LEAST_WEIGHT))
        return mixed, made["closed"][0]


def layered_painter(photo: FloatArray, networks: FeatureNetworks) -> LayeredPainter:
    """Encode a photo, and paint its background.

    Args:
        photo: (3, H, W) float32 -1..1, sides multiples of ``networks.multiple``.
        networks: of the bundle, with layers.
    """
    assert networks.layers is not None
    background, alpha_encoder, alpha_decoder = networks.layers
    height, width = photo.shape[1:]
    whole = Window(0, height, 0, width)
    fill = background.over(photo_source(photo), whole, height, width)["background"]
    alphas = alpha_encoder.over(photo_source(photo), whole, height, width)
    standing, fluid = alphas["alpha_background"][0], alphas["alpha_fluid"][0]
    values, weight = encoded(photo, networks.encoder, extra=3)
    count = values.shape[2] - 3
    shared = weights_of(weight, networks.weight_floor)
    weigh(values, slice(0, count), shared, count + 1)
    if networks.alpha_weight == "features":
        values[..., count], values[..., count + 2] = fluid * shared, shared
    else:
        # Its two channels are the fluid's logit times its weight, and that weight: the formula stands with the kernels.
        own = layered_source(fluid[None], np.zeros_like(fluid), fluid, standing).values
        values[..., count], values[..., count + 2] = own[..., 1], own[..., 3]
    return LayeredPainter(
        thrower=Thrower(SplatSource(values, (count, count + 1), (height, width))),
        decoders=both_decoders(networks.decoder, alpha_decoder),
        fill=fill,
        standing=_logistic(standing),
    )


def both_decoders(decoder: TiledGraph, alpha_decoder: TiledGraph) -> TiledGraph:
    """One graph of two that read what landed in the same window: features, with the alpha logit as the last."""

    def run(inputs: Arrays) -> Arrays:
        mask = inputs["mask"]
        features = np.ascontiguousarray(inputs["features"][:, :-1])
        made = decoder.run({"features": features, "mask": mask})
        return {**made, "alpha": alpha_decoder.run(inputs)["alpha"]}

    halos = (decoder.halo, alpha_decoder.halo)
    return replace(
        decoder,
        run=run,
        multiple=int(np.lcm(decoder.multiple, alpha_decoder.multiple)),
        halo=None if None in halos else max(h for h in halos if h is not None),
        most_pixels=min(decoder.most_pixels, alpha_decoder.most_pixels),
    )


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x.astype(np.float64), -700, 700))), np.float32)
