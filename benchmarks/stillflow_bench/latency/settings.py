# SPDX-License-Identifier: Apache-2.0
"""From what a person typed to a plan that says of each setting where it came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from msgspec.structs import replace

from stillflow.errors import StillflowError
from stillflow_bench.latency.plan import DriverName, Issue, Load, Plan, Scenario
from stillflow_bench.latency.plans import QUICK_SIZE, chosen, full, own, quick, standard
from stillflow_bench.latency.subject import Subject, parse_subject

PLANS = {"quick": quick, "standard": standard, "full": full}

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")
"""Of the environment: they change what libraries do, and so belong to the settings."""

DEFAULT = "default"
COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Settings:
    """What was typed; None and "": nothing.

    Attributes:
        plan: "quick", "standard" or "full".
        target: kind of a block of one's own, instead of a plan.
        subject: as ``parse_subject`` reads it.
        device: of the subject.
        photos: folder.
        only: names of blocks, with commas between them.
        seed: of all that is drawn.
        scenario: of the own block; likewise the rest.
        queries: see ``Load``.
        seconds: see ``Load``.
        warm_up: see ``Load``.
        audit: see ``Load``.
        rate: see ``Load``.
        lanes: see ``Load``.
        rounds: see ``Load``.
        issue: see ``Load``.
        driver: see ``Load``.
    """

    plan: Literal["quick", "standard", "full"] | None = None
    target: str | None = None
    subject: str | None = None
    device: str | None = None
    photos: str | None = None
    only: str | None = None
    seed: int | None = None
    scenario: Scenario | None = None
    queries: int | None = None
    seconds: float | None = None
    warm_up: int | None = None
    audit: int | None = None
    rate: float | None = None
    lanes: int | None = None
    rounds: int | None = None
    issue: Issue | None = None
    driver: DriverName | None = None


OF_LOAD = (
    "scenario", "queries", "seconds", "warm_up", "audit", "rate", "lanes", "rounds", "issue", "driver",
)  # fmt: skip


def plan_of(settings: Settings, environment: Mapping[str, str] | None = None) -> Plan:
    """Make the plan.

    Args:
        settings: what was typed.
        environment: variables; None takes this process's.

    Raises:
        StillflowError: settings that contradict each other, or that mean nothing.
    """
    typed = {name: value for name, value in asdict(settings).items() if value is not None}
    load = {name: typed[name] for name in OF_LOAD if name in typed}
    if settings.target is None and load:
        name = next(iter(load)).replace("_", "-")
        raise StillflowError(
            f"cannot use --{name} with a whole plan",
            "its blocks have loads of their own",
            "name one target: stillflow-bench run --target frame -o DIR",
        )
    if settings.target is not None and settings.plan is not None:
        raise StillflowError(
            f"cannot measure --target {settings.target} and --{settings.plan} at once",
            "a plan has targets of its own",
            "leave one of them out",
        )
    name = settings.plan or ("own" if settings.target else "standard")
    subject = _subject(settings, name)
    photos, seed = settings.photos or "", settings.seed or 0
    if settings.target is not None:
        plan = own(settings.target, subject, replace(Load(), **load), photos, seed)
    else:
        plan = PLANS[name](subject, photos, seed)
    if settings.only:
        plan = chosen(plan, [part.strip() for part in settings.only.split(",") if part.strip()])
    return replace(plan, sources=_sources(typed, name, os.environ if environment is None else environment))


def _subject(settings: Settings, plan: str) -> Subject:
    base = Subject()
    if plan == "quick":
        base = replace(base, width=QUICK_SIZE[0], height=QUICK_SIZE[1])
    subject = parse_subject(settings.subject or "", base)
    return subject if settings.device is None else replace(subject, device=settings.device)


def _sources(typed: Mapping[str, object], plan: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Setting -> where it came from; those of the subject by themselves."""
    names = ["plan", "photos", "only", "seed", *(OF_LOAD if plan == "own" else ())]
    found = {name: COMMAND_LINE if name in typed else DEFAULT for name in names}
    given = {part.partition("=")[0].strip() for part in str(typed.get("subject", "")).split(",")}
    for name in ("bundle", "engine", "precision", "device", "size", "moving", "threads", "seconds", "fps"):
        by_hand = name in given or (name == "size" and given & {"width", "height"})
        by_hand = by_hand or (name == "device" and "device" in typed)
        preset = plan if name == "size" and plan == "quick" else DEFAULT
        found[f"subject.{name}"] = COMMAND_LINE if by_hand else preset
    found |= {f"{name}={environment[name]}": "environment" for name in THREADS if name in environment}
    return found
