# SPDX-License-Identifier: Apache-2.0
"""stillflow turns one still photo into a living, seamless loop, on the device.

    import stillflow

    loop = stillflow.Animator().animate("photo.jpg", stillflow.Guidance(strength=1.2))
    loop.frame(7)           # (H, W, 3) uint8
    loop.save("loop.mp4")

Names are imported when first used, so that ``import stillflow`` itself costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillflow.animator import Animator as Animator
    from stillflow.bundle import Bundle as Bundle
    from stillflow.errors import StillflowError as StillflowError
    from stillflow.guidance import Arrow as Arrow
    from stillflow.guidance import Guidance as Guidance
    from stillflow.loop import Loop as Loop
    from stillflow.motion import Motion as Motion
    from stillflow.photo import Photo as Photo
    from stillflow.photo import load_photo as load_photo
    from stillflow.scene import Scene as Scene
    from stillflow.velocity_field import VelocityField as VelocityField

# ONNX Runtime 1.32 makes an identifier of the device and reports to its maker unless this is set before it is loaded.
# Nothing leaves the machine; whoever wants those reports sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

_HOMES = {
    "Animator": "stillflow.animator",
    "Arrow": "stillflow.guidance",
    "Bundle": "stillflow.bundle",
    "Guidance": "stillflow.guidance",
    "Loop": "stillflow.loop",
    "Motion": "stillflow.motion",
    "Photo": "stillflow.photo",
    "Scene": "stillflow.scene",
    "StillflowError": "stillflow.errors",
    "VelocityField": "stillflow.velocity_field",
    "load_photo": "stillflow.photo",
}

__all__ = [
    "Animator",
    "Arrow",
    "Bundle",
    "Guidance",
    "Loop",
    "Motion",
    "Photo",
    "Scene",
    "StillflowError",
    "VelocityField",
    "__version__",
    "load_photo",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stillflow' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
