# SPDX-License-Identifier: Apache-2.0
"""What of stillflow itself is measured, and a fake.

A module with ``open_target`` is a kind of target: ``networks``, ``device`` (the same on a GPU, by events), ``frame``,
``next_frame``, ``job``, ``cold`` (whose processes run ``cold_probe``) and ``fake`` (which waits ``delays``). What they
share: ``opened`` (an animator, photos and facts of a subject), ``timed_animator`` and ``timed_session`` (the clock
around the networks), ``moving`` (a given share of the picture), ``receipts`` and ``engine_build``.
"""
