"""Cheapest cover of each item: options whose widths add up to the item's, at given prices.

A cover is a multiset of the item's options, so the least price is a coin change problem over
multiples of 4 columns, solved by dynamic programming for all items of one shape (the same options)
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.domains.sharding.encode.items import Items


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """N items with the same M widths of options."""

    items: np.ndarray  # (N,)
    first: np.ndarray  # (N,) their first option
    sizes: np.ndarray  # (M,) widths in units, descending; sizes[0] is the whole


class Covers:
    """Covers of the items of a job."""

    def __init__(self, items: Items) -> None:
        self._items = items

    @cached_property
    def _shapes(self) -> list[_Shape]:
        options = self._items.options
        whole = self._items.whole
        count = np.diff(np.append(whole, len(options)))
        shapes: dict[bytes, list[int]] = {}
        for item, (first, many) in enumerate(zip(whole, count, strict=True)):
            shapes.setdefault(options.width[first : first + many].tobytes(), []).append(
                item
            )
        return [
            _Shape(
                items=np.array(members),
                first=whole[members],
                sizes=_in_units(np.frombuffer(key, dtype=np.int64)),
            )
            for key, members in shapes.items()
        ]

    def least(self, price: np.ndarray) -> np.ndarray:
        """Return the least price of a cover of each item, or infinity; (O,) → (I,)."""
        least = np.empty(len(self._items))
        for shape in self._shapes:
            least[shape.items] = _solve(shape, price, None)
        return least

    def cheapest(self, price: np.ndarray) -> list[list[int]]:
        """Return the options of the cheapest cover of each item; empty without a finite one."""
        covers: list[list[int]] = [[] for _ in self._items.members]
        for shape in self._shapes:
            choice = np.zeros((len(shape.items), int(shape.sizes[0]) + 1), dtype=np.int64)
            least = _solve(shape, price, choice)
            for row, item in enumerate(shape.items):
                left = int(shape.sizes[0]) if np.isfinite(least[row]) else 0
                while left > 0:
                    k = int(choice[row, left])
                    covers[item].append(int(shape.first[row]) + k)
                    left -= int(shape.sizes[k])
        return covers


def _in_units(widths: np.ndarray) -> np.ndarray:
    return np.asarray(widths // np.gcd.reduce(widths))


def _solve(shape: _Shape, price: np.ndarray, choice: np.ndarray | None) -> np.ndarray:
    """Return (N,) the least price of each item of a shape.

    choice: (N, U + 1) receives the last option used for each width, when given.
    """
    sizes = shape.sizes
    prices = price[shape.first[:, None] + np.arange(len(sizes))]  # (N, M)
    if len(sizes) == 1:
        return np.asarray(prices[:, 0])
    units = int(sizes[0])
    best = np.full((len(shape.items), units + 1), np.inf)
    best[:, 0] = 0.0
    for columns in range(int(sizes[-1]), units + 1):
        k = int(np.searchsorted(-sizes, -columns))  # the first option not wider than this
        offers = prices[:, k:] + best[:, columns - sizes[k:]]
        best[:, columns] = offers.min(1)
        if choice is not None:
            choice[:, columns] = k + offers.argmin(1)
    return np.asarray(best[:, units])
