# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow`` is the same as ``stillflow``."""

from __future__ import annotations

import sys

from stillflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
