"""Order of leaves: what the goal states, files that one makes for another, and the display.

Independent leaves run side by side, so the order of display is for readers only.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from search.domains.plan.outline import display
from search.domains.plan.types import Order, Wish


@dataclass(frozen=True, kw_only=True)
class Links:
    """Order of the wishes."""

    # (parent, child) → the child needs its success
    orders: Mapping[tuple[int, int], bool]
    files: frozenset[tuple[int, int]]  # (producer, reader)
    sequence: tuple[int, ...]  # all wishes, parents first
    broken: bool = False  # the stated order has a cycle, and was left out

    def parents(self, child: int) -> set[int]:
        """Return what must come before a wish."""
        every = (*self.orders, *self.files)
        return {parent for parent, other in every if other == child}


def links_of(wishes: Sequence[Wish], orders: Sequence[Order]) -> Links:
    """Return the links of wishes; those that lead to no wish, or to the same, are left out."""
    count = len(wishes)
    files = frozenset(
        (producer, index)
        for index, wish in enumerate(wishes)
        for producer, _ in wish.outputs.values()
        if 0 <= producer < count and producer != index
    )
    stated: dict[tuple[int, int], bool] = {}
    for row in orders:
        if row.parent != row.child and {row.parent, row.child} <= set(range(count)):
            key = (row.parent, row.child)
            stated[key] = stated.get(key, False) or row.needs_success
    for stated_orders, broken in ((stated, False), ({}, True)):
        sequence = _sequence(count, [*stated_orders, *files])
        if sequence is not None:
            return Links(
                orders=stated_orders, files=files, sequence=sequence, broken=broken
            )
    # Files in a circle: no order is right, and the filter of orders removes those leaves.
    return Links(orders={}, files=files, sequence=tuple(range(count)), broken=True)


def displayed(shown: Iterable[int], links: Links, wishes: Sequence[Wish]) -> list[int]:
    """Return the wishes in the order of their display: parents first, then as the goal has them.

    Among those that the same words ask for, the order model chooses.
    """
    left = sorted(shown, key=lambda index: (_begin(wishes[index]), index))
    scores = _Scores({index: display.shown(wishes[index]) for index in left})
    done: list[int] = []
    while left:
        ready = [i for i in left if not links.parents(i) & set(left) - {i}] or left[:1]
        rivals = [i for i in ready if wishes[i].spans == wishes[ready[0]].spans]
        last = done[-1] if done else None
        following = min(rivals, key=lambda i: (-scores.of(i, last, rivals), i))
        done.append(following)
        left.remove(following)
    return done


class _Scores:
    """Scores of a leaf as the next one: after the last, and before its rivals."""

    def __init__(self, leaves: Mapping[int, display.Shown]) -> None:
        self._leaves, self._model = leaves, display.order_model()
        self._known: dict[tuple[int, int], float] = {}

    def of(self, index: int, last: int | None, rivals: Sequence[int]) -> float:
        """Return the score of a leaf; more is better."""
        own = 0.0 if last is None else self._pair(last, index)
        others = (i for i in rivals if i != index)
        return own + sum(self._pair(index, i) - self._pair(i, index) for i in others)

    def _pair(self, before: int, after: int) -> float:
        if (before, after) not in self._known:
            one, other = self._leaves[before], self._leaves[after]
            self._known[before, after] = self._model.score(one, other)
        return self._known[before, after]


def _sequence(count: int, edges: Iterable[tuple[int, int]]) -> tuple[int, ...] | None:
    """Return all numbers with parents first and low numbers early; None on a cycle."""
    before: dict[int, set[int]] = {index: set() for index in range(count)}
    for parent, child in edges:
        before[child].add(parent)
    sorter = graphlib.TopologicalSorter(before)
    try:
        sorter.prepare()
    except graphlib.CycleError:
        return None
    order: list[int] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order)


def _begin(wish: Wish) -> int:
    return min((span.start for span in wish.spans), default=0)
