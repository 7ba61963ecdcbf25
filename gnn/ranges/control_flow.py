"""Dominators and natural loops of a flow graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnn.ranges.relations import Index


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowGraph:
    """Blocks 0 to count − 1 and jumps; blocks without predecessors are entries."""

    count: int
    source: Index
    target: Index

    def successors(self) -> list[list[int]]:
        """Return the targets of each block's jumps."""
        lists: list[list[int]] = [[] for _ in range(self.count)]
        for a, b in zip(self.source.tolist(), self.target.tolist(), strict=True):
            lists[a].append(b)
        return lists

    def predecessors(self) -> list[list[int]]:
        """Return the sources of the jumps to each block."""
        lists: list[list[int]] = [[] for _ in range(self.count)]
        for a, b in zip(self.source.tolist(), self.target.tolist(), strict=True):
            lists[b].append(a)
        return lists


def dominators(graph: FlowGraph) -> Index:
    """Return the immediate dominator of each block; −1 for entries and unreachable blocks.

    Cooper, Harvey and Kennedy (2001), "A Simple, Fast Dominance Algorithm". The functions of a
    module are separate components; a virtual root before all entries joins them.
    """
    before = graph.predecessors()
    order = _reverse_postorder(graph, [b for b in range(graph.count) if not before[b]])
    root = graph.count
    rank = {root: -1} | {block: i for i, block in enumerate(order)}
    parent = {root: root}
    changed = True
    while changed:
        changed = False
        for block in order:
            new = None
            for other in before[block] or [root]:
                if other in parent:
                    new = other if new is None else _meet(new, other, parent, rank)
            if new is not None and parent.get(block) != new:
                parent[block] = new
                changed = True
    out = np.full(graph.count, -1)
    for block in order:
        if parent[block] != root:
            out[block] = parent[block]
    return out


def innermost_loops(graph: FlowGraph, parent: Index) -> Index:
    """Return the head of the innermost natural loop around each block, −1 without one.

    A jump to a block that dominates its source closes a loop; its body are the blocks that reach
    the source without passing the head. Of two loops the smaller one is the inner one.
    """
    before = graph.predecessors()
    bodies: dict[int, set[int]] = {}
    for tail, head in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        if not _dominates(head, tail, parent):
            continue
        body = bodies.setdefault(head, {head})
        waiting = [tail]
        while waiting:
            block = waiting.pop()
            if block not in body:
                body.add(block)
                waiting += before[block]
    out = np.full(graph.count, -1)
    for head, body in sorted(bodies.items(), key=lambda item: -len(item[1])):
        out[list(body)] = head
    return out


def _meet(a: int, b: int, parent: dict[int, int], rank: dict[int, int]) -> int:
    while a != b:
        while rank[a] > rank[b]:
            a = parent[a]
        while rank[b] > rank[a]:
            b = parent[b]
    return a


def _dominates(above: int, block: int, parent: Index) -> bool:
    while block >= 0:
        if block == above:
            return True
        block = int(parent[block])
    return False


def _reverse_postorder(graph: FlowGraph, entries: list[int]) -> list[int]:
    after = graph.successors()
    seen: set[int] = set()
    order: list[int] = []
    for entry in entries:
        stack = [(entry, iter(after[entry]))]
        seen.add(entry)
        while stack:
            block, rest = stack[-1]
            following = next((b for b in rest if b not in seen), None)
            if following is None:
                order.append(block)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(after[following])))
    return order[::-1]
