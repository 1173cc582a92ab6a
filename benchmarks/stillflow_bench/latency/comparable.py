# SPDX-License-Identifier: Apache-2.0
"""Which block another one is compared with: one that has as much to do, and takes turns with it if there is one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.target import Role


def work_of(block: Block) -> Hashable:
    """What decides how much there is to do: equal for blocks that can be compared."""
    subject, load = block.target.subject, block.load
    return block.target.boundary, subject.width, subject.height, subject.moving, load.scenario, load.lanes


def in_turn(one: Block, other: Block) -> bool:
    """Whether two blocks took turns, so that both met the same machine."""
    return one.group != "" and one.group == other.group


def reference(block: Block, role: Role, answered: Iterable[Block]) -> str | None:
    """Name of the block of a role that another one is compared with; None: there is none.

    A block without a mate of its own role in its group is compared with itself, which says nothing.

    Args:
        block: that is compared.
        role: of the other.
        answered: all blocks with samples, in the plan's order.
    """
    same = [other for other in answered if other.role == role and work_of(other) == work_of(block)]
    near = [other for other in same if in_turn(block, other)]
    if role == block.role:
        return near[0].name if near else block.name
    return next((other.name for other in (*near, *same)), None)
