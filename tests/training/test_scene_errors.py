# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from stillflow.bend import rbf_velocity
from stillflow.guidance import Hints
from stillflow_training.scene_errors import HEIGHT, WIDTH, scene_errors


def test_the_closed_form_misses_by_as_much_as_itself() -> None:
    def guess(picture: npt.NDArray[np.uint8], hints: Hints) -> npt.NDArray[np.float32]:
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert hints.mask is not None
        return rbf_velocity(hints.arrows, HEIGHT // 4, WIDTH // 4, HEIGHT / WIDTH)

    found, rbf = scene_errors(guess, [], 3, 4)
    assert found == pytest.approx(rbf)
    assert len(rbf) >= 2
    assert all(0 < error < 3 for error in rbf)


def test_standing_still_misses_all_of_the_speed() -> None:
    still = np.zeros((HEIGHT // 4, WIDTH // 4, 2), np.float32)
    found, _ = scene_errors(lambda *_: still, [], 1, 3)
    assert found == pytest.approx([1] * len(found))
