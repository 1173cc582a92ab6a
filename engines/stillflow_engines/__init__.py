# SPDX-License-Identifier: Apache-2.0
"""Shipped bundles and device profiles, as data. Nothing here computes, and nothing is imported from stillflow."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def bundle_names() -> tuple[str, ...]:
    """Names of the shipped bundles: the folders beside this file that hold a manifest."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/manifest.json")))


def bundle_path(name: str = "edge") -> Path:
    """Folder of a shipped bundle.

    Raises:
        KeyError: no bundle of that name is shipped; the message lists those that are.
    """
    if name not in bundle_names():
        raise KeyError(f"no bundle named {name!r} is shipped; there is {', '.join(bundle_names()) or 'none'}")
    return _HERE / name


def profile_names() -> tuple[str, ...]:
    """Names of the shipped device profiles: the files in profiles/."""
    return tuple(sorted(path.stem for path in (_HERE / "profiles").glob("*.json")))


def profile_path(name: str) -> Path:
    """File of a shipped device profile.

    Raises:
        KeyError: no profile of that name is shipped; the message lists those that are.
    """
    if name not in profile_names():
        raise KeyError(f"no profile named {name!r} is shipped; there is {', '.join(profile_names())}")
    return _HERE / "profiles" / f"{name}.json"
