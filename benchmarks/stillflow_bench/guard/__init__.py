# SPDX-License-Identifier: Apache-2.0
"""The regression guard: what a frame costs in counts that repeat, held against a file of accepted counts.

Seconds on a busy machine say nothing about a change of two percent; instructions, allocations and bytes do, since they
are the same in every run. What they cannot see is in docs/adr/0027.
"""
