"""The cheapest way to cut each item: the least price of options whose widths add up to the item's, for given prices.

Every way to cut an item is a multiset of its options, so the least price is a coin problem over multiples of 4 columns,
solved by dynamic programming for all items of one shape (the same options) at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.domains.sharding.encode.items import Items


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """Items with the same options."""

    items: np.ndarray  # (N,)
    first: np.ndarray  # (N,) their first option
    sizes: np.ndarray  # (M,) widths of the options in units, falling; sizes[0] is the whole


class Covers:
    """Prices ways to cut the items of a job."""

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
        """Least price of covering each item; infinite where no way has a finite price.  (O,) → (I,)"""
        least = np.empty(len(self._items))
        for shape in self._shapes:
            least[shape.items] = _solve(shape, price, None)
        return least

    def ways(self, price: np.ndarray) -> list[list[int]]:
        """The options of the cheapest way to cover each item; empty where none has a finite price."""
        found: list[list[int]] = [[] for _ in self._items.members]
        for shape in self._shapes:
            choice = np.zeros((len(shape.items), int(shape.sizes[0]) + 1), dtype=np.int64)
            least = _solve(shape, price, choice)
            for row, item in enumerate(shape.items):
                left = int(shape.sizes[0]) if np.isfinite(least[row]) else 0
                while left > 0:
                    k = int(choice[row, left])
                    found[item].append(int(shape.first[row]) + k)
                    left -= int(shape.sizes[k])
        return found


def _in_units(widths: np.ndarray) -> np.ndarray:
    return np.asarray(widths // np.gcd.reduce(widths))


def _solve(shape: _Shape, price: np.ndarray, choice: np.ndarray | None) -> np.ndarray:
    """Least price of each item of a shape; `choice` (N, U + 1) takes the option used last for each width."""
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
