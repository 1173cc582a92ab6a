# SPDX-License-Identifier: Apache-2.0
"""What stillflow costs on this machine, and what its loops look like in figures.

- ``latency``: how long a user waits, beside peers and limits, and a verdict on the figures: ``stillflow-bench run``.
- ``guard``: counts that are the same in every run, for CI: ``stillflow-bench guard``.
- Modules here: the suites ``kernels``, ``encode``, ``startup``, ``soak`` and ``quality``, whose samples are rows of a
  ``report`` with ``tables``. Of quality, ``loops`` measures photos and clips, and ``parts`` labelled photos.
- ``gpu``: the same kind of suites on a GPU, and what brings them to one without a network.
- ``cli``: one file a command, no logic.
"""
