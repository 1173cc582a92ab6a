# SPDX-License-Identifier: Apache-2.0
"""A run as one page of HTML that needs no network and no script, and can be printed.

``material`` reads the folder; ``derived`` holds what follows from samples; ``drawing`` makes matplotlib's figures part
of a page, and the ``*_plots`` modules and ``roofline`` draw them; ``tables``, ``conditions`` and ``headline`` write;
``write`` puts all in order and keeps the page small.
"""

from stillflow_bench.latency.page.write import write_page

__all__ = ["write_page"]
