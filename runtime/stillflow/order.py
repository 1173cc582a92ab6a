# SPDX-License-Identifier: Apache-2.0
"""Occlusion order: which of two things that touch in a photo stands in front of the other.

A moving layer goes on behind what stands in front of it, and ends where something farther begins. So every
connected piece of the class map gets a rank. Three cues decide each contact (after Hoiem, Efros and Hebert
2011): what the two are (sky is behind everything), which one bulges over the other (a thing in front shows its
whole, convex outline, what is behind shows what is left), and which one lies lower in the picture (the ground
rises to the horizon). Contradicting contacts are settled by ranked pairs (Tideman 1987): the surest first,
none that would close a circle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray
from stillflow.layer import nearest_owner

MOST_PIECES = 60
"""Pieces that are compared with each other; smaller ones follow the larger ones of their class."""

LEAST_SHARE = 4e-4
"""Share of the picture below which a piece is not compared: its outline says nothing."""

BULGE_SIGMA = 0.03
"""Picture widths: scale at which an outline's bulge is measured."""

ALWAYS = 4.0
"""Score of what holds in every photo; the other cues together stay below it."""

STATIC, WATER, CLOUD, SMOKE, FIRE, FOLIAGE, PERSON, ANIMAL, CLOTH, SKY = range(10)

NEARNESS = {
    STATIC: 0.0,
    FOLIAGE: 0.15,
    WATER: 0.0,
    PERSON: 0.5,
    ANIMAL: 0.5,
    CLOTH: 0.4,
    SMOKE: 0.1,
    FIRE: 1.2,
}
"""What is in front more often, in units of the other scores: flames are seen before what burns, people and
animals are what a photo was taken of, smoke veils, and leaves hang before walls and water."""

BULGE_WEIGHT = 4.0
"""A straight contact has bulge 0, a half disc about 0.25, a thin twig 0.9: it alone outweighs the rest."""

BELOW_WEIGHT = 0.6
"""Score of a contact at which one thing lies wholly below the other."""

WATER_BELOW_WEIGHT = 1.1
"""Water is flat: what it touches from below is its far shore, what touches it from below is nearer."""

RISING_BELOW_WEIGHT = 0.2
"""Smoke and fire rise, so nearly everything lies below them, what they hide as well."""


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of pieces that touch.

    Attributes:
        first: (n,) int, the smaller piece number of each pair.
        second: (n,) int, the larger one.
        length: (n,) float, contact in samples.
        bulge: (n,) float -1..1, > 0 where the first bulges over the second.
        below: (n,) float -1..1, 1 where the first lies below the second, 0 side by side.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    length: npt.NDArray[np.float64]
    bulge: npt.NDArray[np.float64]
    below: npt.NDArray[np.float64]


def occlusion_order(classes: ByteArray) -> ByteArray:
    """Rank what a photo shows from far to near.

    Args:
        classes: (h, w) uint8, index into ``motion.CLASS_NAMES``.

    Returns:
        (h, w) uint8: 0 where the picture is farthest (clear sky, if there is any), larger = nearer. Two pieces
        that touch differ; the ranks of pieces that do not touch say little.
    """
    pieces, kinds, large = _pieces(classes)
    contacts = _contacts(classes, pieces, large)
    scores = np.array([_score(kinds, contacts, i) for i in range(contacts.first.size)])
    rank_of = _ranked_pairs(len(kinds), contacts, scores)
    # Where there is sky, rank 0 is its own: what touches none of it is nearer all the same.
    if (kinds == SKY).any() and (rank_of[kinds != SKY] == 0).any():
        rank_of = np.where(kinds == SKY, 0, np.minimum(rank_of + 1, 255))
    order = rank_of[pieces].astype(np.uint8)
    return _small_follow_large(classes, order, large[pieces])


def _pieces(
    classes: ByteArray,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Connected pieces of one class: their numbers (h, w), the class of each, and which are large."""
    pieces = np.zeros(classes.shape, np.int32)
    kinds: list[int] = []
    areas: list[int] = []
    for kind in np.unique(classes):
        # Diagonal neighbours count as connected: twigs are one sample wide.
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (classes == kind).astype(np.uint8), connectivity=8
        )
        mine = labels > 0
        pieces[mine] = labels[mine] + (len(kinds) - 1)
        kinds += [int(kind)] * (count - 1)
        areas += stats[1:, cv2.CC_STAT_AREA].tolist()
    sizes = np.array(areas)
    large = sizes >= max(4, LEAST_SHARE * classes.size)
    if large.sum() > MOST_PIECES:
        large &= sizes > np.sort(sizes)[-MOST_PIECES - 1]
    if not large.any():
        large[int(sizes.argmax())] = True
    return pieces, np.array(kinds, np.int64), large


def _contacts(classes: ByteArray, pieces: npt.NDArray[np.int32], large: npt.NDArray[np.bool_]) -> Contacts:
    """Find the pairs of large pieces that touch, and how."""
    h, w = classes.shape
    sigma = max(1.0, BULGE_SIGMA * w)
    share = np.zeros((10, h, w), np.float32)
    for kind in np.unique(classes):
        # Beyond the border a picture goes on as it ends there: the border is no outline.
        own = (classes == kind).astype(np.float32)
        share[kind] = cv2.GaussianBlur(own, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    count = len(large)
    found: list[tuple[npt.NDArray[Any], ...]] = []
    for down in (False, True):
        here, there = (np.s_[:-1], np.s_[1:]) if down else (np.s_[:, :-1], np.s_[:, 1:])
        a, b = pieces[here], pieces[there]
        y, x = np.nonzero((a != b) & large[a] & large[b])
        y2, x2 = (y + 1, x) if down else (y, x + 1)
        pa, pb = pieces[y, x], pieces[y2, x2]
        ka, kb = classes[y, x], classes[y2, x2]
        # Of the neighbourhood of a contact the one in front fills less: it is convex there.
        more_b = (share[kb, y, x] + share[kb, y2, x2]) / 2
        more_a = (share[ka, y, x] + share[ka, y2, x2]) / 2
        bulge = more_b - more_a
        below = np.full(y.shape, -1.0 if down else 0.0)
        swap = pa > pb
        sign = np.where(swap, -1.0, 1.0)
        key = np.where(swap, pb, pa).astype(np.int64) * count + np.where(swap, pa, pb)
        found.append((key, bulge * sign, below * sign))
    key, bulge, below = (np.concatenate(parts) for parts in zip(*found, strict=True))
    pairs, index = np.unique(key, return_inverse=True)
    length = np.bincount(index, minlength=pairs.size).astype(np.float64)
    weight = np.maximum(length, 1)
    return Contacts(
        first=pairs // count,
        second=pairs % count,
        length=length,
        bulge=np.bincount(index, bulge, pairs.size) / weight,
        below=np.bincount(index, below, pairs.size) / weight,
    )


def _score(kinds: npt.NDArray[np.int64], contacts: Contacts, i: int) -> float:
    """How sure it is that the first of pair i is in front (> 0) or behind (< 0)."""
    a, b = int(kinds[contacts.first[i]]), int(kinds[contacts.second[i]])
    for far in (SKY, CLOUD):
        if (a == far) != (b == far):
            return -ALWAYS if a == far else ALWAYS
    score = NEARNESS.get(a, 0.0) - NEARNESS.get(b, 0.0) + BULGE_WEIGHT * contacts.bulge[i]
    if {a, b} & {SMOKE, FIRE}:
        score += RISING_BELOW_WEIGHT * contacts.below[i]
    else:
        score += (WATER_BELOW_WEIGHT if WATER in (a, b) else BELOW_WEIGHT) * contacts.below[i]
    return float(np.clip(score, 0.01 - ALWAYS, ALWAYS - 0.01))


def _ranked_pairs(count: int, contacts: Contacts, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Rank of each piece: the longest chain of accepted contacts behind it."""
    behind: list[set[int]] = [set() for _ in range(count)]
    # A long contact is surer than a short one; what always holds comes first.
    strength = np.abs(scores) * np.sqrt(contacts.length) + np.where(np.abs(scores) >= ALWAYS, 1e6, 0)
    for i in np.argsort(-strength, kind="stable"):
        a, b = int(contacts.first[i]), int(contacts.second[i])
        near, far = (a, b) if scores[i] > 0 else (b, a)
        if not _reaches(behind, far, near):
            behind[near].add(far)
    rank = np.full(count, -1, np.int64)
    for piece in range(count):
        _longest(behind, piece, rank)
    return np.minimum(rank, 255)


def _reaches(behind: list[set[int]], start: int, goal: int) -> bool:
    """Whether goal lies behind start by contacts accepted so far."""
    seen, todo = {start}, [start]
    while todo:
        piece = todo.pop()
        if piece == goal:
            return True
        new = behind[piece] - seen
        seen |= new
        todo += new
    return False


def _longest(behind: list[set[int]], piece: int, rank: npt.NDArray[np.int64]) -> int:
    """Length of the longest chain behind a piece; there are no circles and at most MOST_PIECES links."""
    if rank[piece] < 0:
        rank[piece] = 1 + max((_longest(behind, far, rank) for far in behind[piece]), default=-1)
    return int(rank[piece])


def _small_follow_large(classes: ByteArray, order: ByteArray, known: npt.NDArray[np.bool_]) -> ByteArray:
    """Give small pieces the rank of the nearest large piece of their class, or one more than what is around."""
    if known.all():
        return order
    result = order.copy()
    around = nearest_owner(np.where(known, order.astype(np.int32) + 1, 0)) - 1
    for kind in np.unique(classes[~known]):
        mine = ~known & (classes == kind)
        own = known & (classes == kind)
        if own.any():
            result[mine] = (nearest_owner(np.where(own, order.astype(np.int32) + 1, 0)) - 1)[mine]
        elif kind in (SKY, CLOUD):
            result[mine] = 0
        else:
            result[mine] = np.minimum(around + 1, 255)[mine]
    return result
