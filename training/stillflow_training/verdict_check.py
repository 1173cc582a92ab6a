# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow_training verdict-check``: does the verdict agree with the labels, and what would fit it better.

The labels' suitability is 0 or 1 for pictures that should not be animated and 2 or 3 for those that should; the verdict
agrees when its score lies on the same side.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt

from stillflow.animator import Animator
from stillflow.assess import WEIGHTS, Suitability, assess, log_odds, measure
from stillflow.kernels.arrays import field_shape
from stillflow.motion import Motion
from stillflow.photo import Photo
from stillflow_training.labels import LabelledPhoto, read_labels

LONG_SIDE = 320
"""Pixels at which photos are judged: the networks see less, and the measures are shares."""

RIDGE = 2.0
"""Weight of the penalty on standardised coefficients: with 183 photos it keeps them from leaning on single ones."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One labelled photo: its name and split, the label's suitability 0..3, and the verdict."""

    name: str
    split: str
    label: int
    found: Suitability

    @property
    def agrees(self) -> bool:
        """Whether label and verdict lie on the same side."""
        return (self.label >= 2) == (self.found.score >= 2)


def motion_of_label(item: LabelledPhoto) -> Motion:
    """The motion that a network would find if it saw all that the label says, at field size."""
    height, width = item.classes.shape
    h, w = field_shape(height, width)
    moves = cv2.resize(item.moves.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
    velocity = cv2.resize(item.velocity, (w, h), interpolation=cv2.INTER_AREA)
    return Motion(
        velocity=np.ascontiguousarray(velocity, np.float32),
        matte=np.ascontiguousarray(moves, np.float32),
        classes=cv2.resize(item.classes, (w, h), interpolation=cv2.INTER_NEAREST).astype(np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=height,
        width=width,
        sources={"all": "label"},
    )


def judge(photos: list[LabelledPhoto], animator: Animator | None) -> list[Judged]:
    """Ask for the verdict on labelled photos.

    Args:
        photos: read at ``LONG_SIDE``.
        animator: whose networks say what moves; None takes the labels' word for it.
    """
    result = []
    for item in photos:
        picture = Photo.from_array(item.photo)
        motion = motion_of_label(item) if animator is None else animator.motion(picture)
        result.append(Judged(item.name, item.split, item.suitability, assess(picture, motion)))
    return result


def agreement(judged: list[Judged]) -> str:
    """Figures of one split in a few lines: agreement, baseline, how the sides meet, order of the chances."""
    suits = np.array([one.label >= 2 for one in judged])
    good = np.array([one.found.score >= 2 for one in judged])
    chance = np.array([one.found.chance for one in judged])
    lines = []
    lines.append(
        f"  agrees on {100 * np.mean(suits == good):.1f} % of {len(judged)} photos; "
        f"always 'good' would on {100 * np.mean(suits):.1f} %"
    )
    lines.append(
        f"  label good: {int((suits & good).sum())} called good, {int((suits & ~good).sum())} not; "
        f"label bad: {int((~suits & ~good).sum())} called bad, {int((~suits & good).sum())} not"
    )
    refused = np.array([one.found.verdict == "unsuitable" for one in judged])
    lines.append(
        f"  refused: {int((refused & ~suits).sum())} bad and {int((refused & suits).sum())} good ones"
    )
    slowed = np.array([one.found.strength < 1 for one in judged])
    lines.append(
        f"  slowed down: {int((slowed & ~suits).sum())} bad and {int((slowed & suits).sum())} good ones"
    )
    if suits.any() and not suits.all():
        apart = (chance[suits][:, None] > chance[~suits]) + 0.5 * (chance[suits][:, None] == chance[~suits])
        lines.append(
            f"  a good photo has the higher chance than a bad one in {100 * apart.mean():.1f} % of pairs"
        )
    return "\n".join(lines)


def fit(measures: list[dict[str, float]], suits: npt.NDArray[np.bool_]) -> tuple[float, dict[str, float]]:
    """Fit the logistic model of ``stillflow.assess`` by Newton's method with a ridge penalty.

    Args:
        measures: one for each photo.
        suits: (n,) whether the label calls it good.

    Returns:
        The bias, and the weight of the square root of each measure.
    """
    values = np.sqrt(np.array([[found[name] for name in WEIGHTS] for found in measures]))
    centre, scale = values.mean(axis=0), values.std(axis=0) + 1e-9
    inputs = np.column_stack([(values - centre) / scale, np.ones(len(values))])
    penalty = np.diag([RIDGE] * len(WEIGHTS) + [0.0])
    weights = np.zeros(inputs.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        slope = inputs.T @ (chance - suits) + penalty @ weights
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + penalty
        weights -= np.linalg.solve(curvature, slope)
    raw = weights[:-1] / scale
    return float(weights[-1] - raw @ centre), dict(zip(WEIGHTS, raw.tolist(), strict=True))


def cross_validated(measures: list[dict[str, float]], suits: npt.NDArray[np.bool_], folds: int = 5) -> float:
    """Agreement of models fitted without the photos that they judge, 0..1."""
    fold = np.random.default_rng(0).permutation(len(suits)) % folds
    right = 0
    for k in range(folds):
        others = [found for found, own in zip(measures, fold, strict=True) if own != k]
        bias, weights = fit(others, suits[fold != k])
        for i in np.flatnonzero(fold == k):
            z = bias + sum(weight * np.sqrt(measures[i][name]) for name, weight in weights.items())
            right += int((z > 0) == suits[i])
    return right / len(suits)


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Folder with photos/, labels/..."
)
@click.option("--bundle", help="Networks to judge with. The default bundle when left out.")
@click.option(
    "--labels", "truth", is_flag=True, help="Take the labels as the motion: what better networks could reach."
)
@click.option("--split", type=click.Choice(["train", "val"]), help="Photos of one split only.")
@click.option("--refit", is_flag=True, help="Fit the model's weights on the train photos and print them.")
@click.option("--rows", is_flag=True, help="One line a photo, by falling chance.")
def verdict_check(
    data: Path, bundle: str | None, truth: bool, split: str | None, refit: bool, rows: bool
) -> None:
    """Compare the verdict with the labels' suitability."""
    photos = read_labels(data, LONG_SIDE, only=split)
    judged = judge(photos, None if truth else Animator(bundle))
    for name in ("train", "val"):
        mine = [one for one in judged if one.split == name]
        if not mine:
            continue
        click.echo(f"{name}:\n{agreement(mine)}")
        for one in sorted(mine, key=lambda one: -one.found.chance) if rows else ():
            mark = " " if one.agrees else "x"
            why = "; ".join(one.found.reasons)
            click.echo(
                f"  {mark} {one.found.chance:.2f} {one.found.score} label {one.label} {one.name}  {why}"
            )
    if refit and split != "val":
        _refit(photos, judged)


def matched_bias(log_odds_of_unseen: list[float], share: float) -> float:
    """Bias with which a given share of photos is called good.

    Networks find more to move in photos that they were not trained on, and are surer of them than they should be.
    So the bias is not the fitted one: it calls as many of such photos good as people did of the training photos.
    That needs pictures, and no labels of theirs.

    Args:
        log_odds_of_unseen: without a bias, of photos that the networks were not trained on.
        share: of the training photos that people called good, 0..1.
    """
    return -float(np.quantile(log_odds_of_unseen, 1 - share))


def _refit(photos: list[LabelledPhoto], judged: list[Judged]) -> None:
    """Print what fits the train photos best, as it stands in ``stillflow.assess``.

    Each photo is seen twice: as the networks see it and as its label does. The networks know their training
    photos better than any others, and a model fitted on that alone would trust them too much.
    """
    train = [i for i, one in enumerate(judged) if one.split == "train"]
    seen = [dict(judged[i].found.measures) for i in train]
    told = [measure(Photo.from_array(photos[i].photo), motion_of_label(photos[i])) for i in train]
    suits = np.array([judged[i].label >= 2 for i in train])
    bias, weights = fit(seen + told, np.concatenate([suits, suits]))
    click.echo(f"cross-validated on train, by the networks alone: {100 * cross_validated(seen, suits):.1f} %")
    click.echo("WEIGHTS = {" + ", ".join(f'"{name}": {weight:.1f}' for name, weight in weights.items()) + "}")
    click.echo(f"BIAS = {bias:.1f} as fitted")
    unseen = [one.found.measures for one in judged if one.split != "train"]
    if not unseen:
        return
    share = float(suits.mean())
    raw = [sum(weight * np.sqrt(found[name]) for name, weight in weights.items()) for found in unseen]
    click.echo(
        f"BIAS = {matched_bias(raw, share):.1f} calls as many held-back photos good as people did training photos"
    )
    own = [log_odds(found["network"]) for found in unseen if "network" in found]
    if own:
        click.echo(f"NETWORK_BIAS = {matched_bias(own, share):.1f} does so by the network's own answer")
