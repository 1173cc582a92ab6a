# SPDX-License-Identifier: Apache-2.0
"""The latency suite: what is timed from where to where, under which load, and whether the figures may be believed.

In the order in which a figure comes about:

- What is asked for: a ``subject`` (what runs), a ``boundary`` (from where to where), and a ``plan`` of blocks, each a
  target under a load. ``plans`` has those that come with the suite, put together from ``families``; ``settings`` makes
  one of what a person typed; ``inputs`` are photos, and what networks are given for them.
- What is loaded: ``target`` says what all have in common and which kinds there are. ``targets`` holds ours and the
  fake, ``peers`` what anybody could use instead, and the limits.
- How it is loaded: ``scenarios`` make the queries and read the ``clock`` around each, or let MLPerf's LoadGen do both.
- How it is carried out: ``run`` opens a process for every block (``block_run``, ``worker_process``; ``worker`` on the
  other side; ``orders`` between them) and takes them in turn, while ``telemetry`` looks at the machine
  (``host_readings``, ``gpu_readings``). ``forecast`` says how long it takes; ``temporary`` where files lie meanwhile.
- What is kept: every query is a ``sample``; ``record`` is result.json, with ``summaries`` by ``percentile``;
  ``run_folder`` is where it lies.
- Whether it may be believed: ``judge`` reads the folder again and says VALID or INVALID, by the ``checks`` and their
  ``limits``; ``outcome`` says so in a line.
- What it says: ``page`` (HTML) and ``markdown`` show it, each block beside those that are ``comparable``; ``compare``
  tells which of two is faster.
- Whether the suite itself measures right: ``selftest`` on delays that are known, ``loadgen`` against LoadGen's clock;
  ``selftest_report`` writes what they found.
"""
