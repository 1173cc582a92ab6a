# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow_bench``."""

import sys

from stillflow_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
