# SPDX-License-Identifier: Apache-2.0
"""A run as one page of HTML that needs no network and no script, and can be printed.

``material`` reads the folder; ``derived`` holds what follows from samples, ``work`` what a query's work is. ``drawing``
makes matplotlib's figures part of a page, in the colours of ``palette``, and the ``*_plots`` modules and ``roofline``
draw them. ``headline``, ``main_tables`` and ``sections`` write, in the words of ``labels``; ``write`` puts all in order
(``style`` is its CSS) and keeps the page small.
"""

from stillflow_bench.latency.page.write import write_page

__all__ = ["write_page"]
