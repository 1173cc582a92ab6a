# SPDX-License-Identifier: Apache-2.0
"""The latency suite: what is timed from where to where, under which load, and whether the figures may be believed.

In the order a figure comes about: a ``plan`` holds blocks, each a target at a boundary under a scenario; ``run`` gives
every block a process of its own (``worker``) and takes them in turn; ``sample`` files keep every query; ``record`` is
the folder they lie in; ``judge`` reads it again and says VALID or INVALID; ``page`` shows it.
"""
