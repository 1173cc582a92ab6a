# SPDX-License-Identifier: Apache-2.0
"""The published networks once more, as their formulas say: straight from the published tensors, nothing folded.

Spectral norms are worked out in every call, normalisations take their noise vector (all 0), partial convolutions carry
a mask for every channel and 1e-8 under the fraction, both terms of a residual block are resampled. Slow on purpose,
and on purpose without a line of stillflow_export.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as f

Tensors = dict[str, Tensor]


def spectral(t: Tensors, name: str, x: Tensor, *, stride: int = 1, pad: int = 0, bias: bool = True) -> Tensor:
    return f.conv2d(x, spectral_weight(t, name), t[f"{name}.bias"] if bias else None, stride, pad)


def spectral_weight(t: Tensors, name: str) -> Tensor:
    w = t[f"{name}.weight_orig"]
    sigma = t[f"{name}.weight_u"] @ (w.reshape(w.shape[0], -1) @ t[f"{name}.weight_v"])
    return w / sigma


def noise_norm(t: Tensors, name: str, x: Tensor, stored: str) -> Tensor:
    z = torch.zeros(20)
    gain = 1 + spectral_weight(t, f"{name}.gain") @ z
    bias = spectral_weight(t, f"{name}.bias") @ z
    mean, var = t[f"{name}.{stored}.stored_mean"], t[f"{name}.{stored}.stored_var"]
    normed = (x - mean[:, None, None]) * torch.rsqrt(var[:, None, None] + 1e-5)
    return normed * gain[:, None, None] + bias[:, None, None]


def features_resampled(x: Tensor, how: str) -> Tensor:
    if how == "down":
        return f.avg_pool2d(x, kernel_size=3, stride=2, padding=1)
    if how == "up":
        return f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return x


def residual_block(t: Tensors, name: str, x: Tensor, how: str = "same") -> Tensor:
    y = torch.relu(noise_norm(t, f"{name}.ch_a.0", x, "bn"))
    y = spectral(t, f"{name}.ch_a.2", y, pad=1)
    y = torch.relu(noise_norm(t, f"{name}.ch_a.3", y, "bn"))
    y = features_resampled(spectral(t, f"{name}.ch_a.5", y, pad=1), how)
    if f"{name}.ch_b.0.weight_orig" in t:
        x = features_resampled(spectral(t, f"{name}.ch_b.0", x), how)
    return y + x


def partial_conv(t: Tensors, name: str, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    weight, bias = spectral_weight(t, name), t[f"{name}.bias"]
    ones = torch.ones(1, weight.shape[1], 3, 3)
    s = f.conv2d(m, ones, padding=1)
    r = 9 * weight.shape[1] / (s + 1e-8)
    u = torch.clamp(s, 0, 1)
    y = f.conv2d(x * m, weight, padding=1) * (r * u)
    y = (y + bias[:, None, None]) * u
    return y, u.expand(-1, weight.shape[0], -1, -1)


def partial_block(t: Tensors, name: str, x: Tensor, m: Tensor, how: str) -> tuple[Tensor, Tensor]:
    y, seen = partial_conv(t, f"{name}.conv_aa", torch.relu(noise_norm(t, f"{name}.bn_noise1", x, "pbn")), m)
    y, seen = partial_conv(
        t, f"{name}.conv_ab", torch.relu(noise_norm(t, f"{name}.bn_noise2", y, "pbn")), seen
    )
    y = features_resampled(y, how)
    if how == "down":
        seen = f.max_pool2d(seen, kernel_size=3, stride=2, padding=1)
    if how == "up":
        seen = f.interpolate(seen, scale_factor=2, mode="nearest")
    if y.shape[1] != x.shape[1] or how != "same":
        x = features_resampled(spectral(t, f"{name}.conv_b", x, bias=False), how)
    return y + x, seen


HOWS = ("same", "down", "down", "same", "up", "up", "same", "same")


def encode(t: Tensors, photo: Tensor, root: str = "encoder") -> tuple[Tensor, Tensor]:
    """Features and Z; with another root whatever the last block gives, all but the last channel and that."""
    x = photo
    for i in range(8):
        x = residual_block(t, f"{root}.gblocks.{i}", x)
    return x[:, :-1], x[:, -1:]


def decode(t: Tensors, features: Tensor, root: str = "projector") -> tuple[Tensor, Tensor]:
    """What the decoder gives before tanh or sigmoid, and its last mask, from features that are 0 in holes."""
    x, mask = features, (features != 0).float()
    for i, how in enumerate(HOWS):
        x, mask = partial_block(t, f"{root}.eblocks.{i}", x, mask, how)
    return x, mask[:, :1]


def background(t: Tensors, photo: Tensor) -> Tensor:
    x = photo
    for i, how in enumerate(HOWS):
        x = residual_block(t, f"net_bg.eblocks.{i}", x, how)
    return torch.tanh(x)


def quirky_double(x: Tensor) -> Tensor:
    parts = [
        f.interpolate(x[:, :3], scale_factor=2, mode="bilinear", align_corners=False),
        f.interpolate(x[:, 3:4], scale_factor=2, mode="nearest"),
        f.interpolate(x[:, 4:], scale_factor=2, mode="bilinear", align_corners=False),
    ]
    return torch.cat(parts, 1)


def spade(t: Tensors, name: str, x: Tensor, picture: Tensor) -> Tensor:
    size = x.shape[2:]
    parts = [f.interpolate(picture[:, :3], size=size, mode="bilinear", align_corners=False)]
    parts.append(f.interpolate(picture[:, 3:4], size=size, mode="nearest"))
    if picture.shape[1] > 4:
        parts.append(f.interpolate(picture[:, 4:], size=size, mode="bilinear", align_corners=False))
    label = torch.cat(parts, 1)
    hidden = torch.relu(plain(t, f"{name}.mlp_shared.0", label))
    gamma, beta = plain(t, f"{name}.mlp_gamma", hidden), plain(t, f"{name}.mlp_beta", hidden)
    mean = x.mean((2, 3), keepdim=True)
    var = ((x - mean) ** 2).mean((2, 3), keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5) * (1 + gamma) + beta


def plain(t: Tensors, name: str, x: Tensor) -> Tensor:
    weight = t[f"{name}.weight"]
    return f.conv2d(x, weight, t[f"{name}.bias"], padding=weight.shape[2] // 2)


def hinted_flow(t: Tensors, picture: Tensor) -> Tensor:
    """Before tanh or scale, of the six channels."""
    down = ("", "2_0", "4_0", "8_0", "8_1", "8_2", "8_3", "")
    up = ("8_4", "8_5", "8_6", "8_7", "4_1", "2_1", None, "")
    e = [spectral(t, "conv1", picture, stride=2, pad=1)]
    for k in range(2, 9):
        y = spectral(t, f"conv{k}", f.leaky_relu(e[-1], 0.2), stride=2, pad=1)
        e.append(spade(t, f"spade_layer{down[k - 1]}", y, picture) if down[k - 1] else y)
    d = spectral(t, "dconv1", quirky_double(torch.relu(e[7])), pad=1)
    d = spade(t, "spade_layer8_4", d, picture)
    for k in range(2, 9):
        both = torch.cat([quirky_double(d), quirky_double(e[8 - k])], 1)
        d = spectral(t, f"dconv{k}", torch.relu(both), pad=1)
        if k < 8:
            d = spade(t, f"spade_layer{up[k - 1] or ''}", d, picture)
    return d


def text_block(t: Tensors, name: str, x: Tensor, context: Tensor) -> Tensor:
    n, c, h, w = x.shape
    inner = f"{name}.transformer_blocks.0"
    y = f.group_norm(x, 32, t[f"{name}.norm.weight"], t[f"{name}.norm.bias"], 1e-6)
    y = plain(t, f"{name}.proj_in", y).permute(0, 2, 3, 1).reshape(n, h * w, c)
    normed = f.layer_norm(y, (c,), t[f"{inner}.norm2.weight"], t[f"{inner}.norm2.bias"])
    q = normed @ t[f"{inner}.attn2.to_q.weight"].T
    k, v = (context @ t[f"{inner}.attn2.{part}.weight"].T for part in ("to_k", "to_v"))
    size = c // 8
    heads = []
    for head in range(8):
        own = slice(head * size, (head + 1) * size)
        scores = q[..., own] @ k[..., own].transpose(1, 2) / size**0.5
        heads.append(torch.softmax(scores, -1) @ v[..., own])
    joined = torch.cat(heads, 2)
    y = y + joined @ t[f"{inner}.attn2.to_out.0.weight"].T + t[f"{inner}.attn2.to_out.0.bias"]
    normed = f.layer_norm(y, (c,), t[f"{inner}.norm3.weight"], t[f"{inner}.norm3.bias"])
    wide = normed @ t[f"{inner}.ff.net.0.proj.weight"].T + t[f"{inner}.ff.net.0.proj.bias"]
    gated = wide[..., : 4 * c] * f.gelu(wide[..., 4 * c :])
    y = y + gated @ t[f"{inner}.ff.net.2.weight"].T + t[f"{inner}.ff.net.2.bias"]
    y = y.reshape(n, h, w, c).permute(0, 3, 1, 2)
    return plain(t, f"{name}.proj_out", y) + x


def text_flow(t: Tensors, picture: Tensor, context: Tensor) -> Tensor:
    """After tanh and times 64, of the four channels."""
    down = {
        2: (True, "2_0", None), 3: (True, "4_0", None), 4: (True, "8_0", "input_block_1"),
        5: (False, "8_1", "input_block_2"), 6: (True, "8_2", "input_block_3"), 7: (False, "8_3", "input_block_4"),
        8: (True, None, "middle_block"),
    }  # fmt: skip
    up = {
        1: (True, "8_4", "output_block_4"), 2: (False, "8_5", "output_block_3"), 3: (True, "8_6", "output_block_2"),
        4: (False, "8_7", "output_block_1"), 5: (True, "4_1", None), 6: (True, "2_1", None), 7: (True, "", None),
        8: (True, None, None),
    }  # fmt: skip
    e = {1: f.avg_pool2d(plain(t, "conv1", picture), 2)}
    for k, (pooled, norm, block) in down.items():
        y = plain(t, f"conv{k}", f.leaky_relu(e[k - 1], 0.2))
        y = f.avg_pool2d(y, 2) if pooled else y
        y = y if norm is None else spade(t, f"spade_layer{norm}", y, picture)
        e[k] = y if block is None else text_block(t, f"attn_{block}", y, context)
    d = e[8]
    for k, (doubled, norm, block) in up.items():
        y = torch.relu(d if k == 1 else torch.cat([d, e[9 - k]], 1))
        y = f.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False) if doubled else y
        y = plain(t, f"dconv{k}", y)
        y = y if norm is None else spade(t, f"spade_layer{norm}", y, picture)
        d = y if block is None else text_block(t, f"attn_{block}", y, context)
    return torch.tanh(d) * 64
