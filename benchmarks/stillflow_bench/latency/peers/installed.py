# SPDX-License-Identifier: Apache-2.0
"""Libraries that only peers need: imported when a peer is opened, refused with the line that installs them."""

from __future__ import annotations

from typing import Any

from stillflow.errors import StillflowError
from stillflow.importing import import_whole

INSTALL = "pip install 'stillflow[peers]'"


def installed(package: str, peer: str, install: str = INSTALL) -> Any:
    """Import what a peer is made of.

    Args:
        package: its name, as for ``import``.
        peer: what cannot be measured without it, for the message.
        install: the line that brings it.

    Raises:
        StillflowError: it is not installed, or does not import.
    """
    try:
        return import_whole(package)
    except ModuleNotFoundError as error:
        if (error.name or package).partition(".")[0] != package.partition(".")[0]:
            raise _refused(peer, f"{package} does not import: {error}", install) from error
        raise _refused(peer, f"the package {package} is not installed", install) from error
    # A broken binary package raises OSError, AttributeError and others besides ImportError.
    except Exception as error:
        raise _refused(peer, f"the package {package} does not import: {error}", install) from error


def _refused(peer: str, why: str, install: str) -> StillflowError:
    return StillflowError(f"cannot measure {peer}", why, install)
