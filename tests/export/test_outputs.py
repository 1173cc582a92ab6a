# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from stillflow.bundle.manifest import OUTPUT_CHOICES
from stillflow.errors import StillflowError
from stillflow_export.outputs import decide_outputs


def receipts(
    guided: tuple[float, float], plate: tuple[float, float], blend: tuple[float, float]
) -> dict[str, Any]:
    error = {"network": guided[0], "rbf": guided[1]}
    return {
        "flow": {"validation": {"velocity_error": {"1": error, "3": error}}},
        "generator": {
            "validation": {
                "plate_network": plate[0],
                "plate_push_pull": plate[1],
                "blend_network": blend[0],
                "blend_closed": blend[1],
            }
        },
    }


def chosen(*arguments: Any) -> dict[str, str]:
    return {name: d.chosen for name, d in decide_outputs(*arguments).items()}


def test_the_network_runs_where_it_is_better() -> None:
    made = decide_outputs(receipts((0.3, 0.4), (21, 20), (31, 30)), {})
    assert {d.chosen for d in made.values()} == {"network"}
    assert set(made) == set(OUTPUT_CHOICES)
    assert made["plate"].figures == {"network": 21, "push_pull": 20}


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_closed_form_runs_where_the_network_is_worse_or_level(level: float) -> None:
    made = chosen(receipts((0.4 + level, 0.4), (20 - level, 20), (30 - level, 30)), {})
    assert made["velocity_guided"] == "rbf"
    assert made["plate"] == "push_pull"
    assert made["blend"] == "variance_preserving"


@pytest.mark.parametrize("flow", [{}, {"validation": None}, {"validation": {"velocity_error": {"1": {}}}}])
def test_without_figures_the_closed_form_runs(flow: dict[str, Any]) -> None:
    made = decide_outputs({"flow": flow, "generator": {"validation": {"plate_network": "high"}}}, {})
    assert made["velocity_guided"].chosen == "rbf"
    assert made["plate"].chosen == "push_pull"
    assert "no figures" in made["blend"].why


def test_nan_never_wins() -> None:
    nan = float("nan")
    made = chosen(receipts((nan, 0.4), (nan, 20), (nan, 30)), {})
    assert "network" not in {made["velocity_guided"], made["plate"], made["blend"]}


def test_without_a_generator_the_closed_forms_run() -> None:
    made = decide_outputs({"flow": {}}, {})
    assert made["plate"].chosen == "push_pull"
    assert made["plate"].why == "the bundle has no generator graph"


def test_what_is_said_wins_and_is_noted() -> None:
    made = decide_outputs(receipts((0.3, 0.4), (21, 20), (31, 30)), {"plate": "push_pull"})
    assert made["plate"].chosen == "push_pull"
    assert made["plate"].why == "said at export"
    assert made["plate"].figures


def test_a_reason_goes_into_the_receipt() -> None:
    made = decide_outputs(
        receipts((0.3, 0.4), (21, 20), (31, 30)), {"blend": "variance_preserving: it leaks"}
    )
    assert made["blend"].chosen == "variance_preserving"
    assert made["blend"].why == "said at export: it leaks"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"sound": "network"}, "no such output"),
        ({"plate": "magic"}, "not one of its choices"),
        ({"matte": "rbf"}, "not one of its choices"),
        ({"plate": "network"}, "no graph generator"),
    ],
)
def test_senseless_choices_are_refused(said: dict[str, str], why: str) -> None:
    with pytest.raises(StillflowError, match=why):
        decide_outputs({"flow": {}}, said)
