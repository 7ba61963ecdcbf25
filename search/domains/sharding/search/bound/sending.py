"""Lower bound of the exchange of any plan, from columns that cannot be divided.

The device that sends most decides. Device d takes `rate[d]` milliseconds to send a column, so this
bounds `max_d rate[d] * columns[d]` from below. Each of these facts gives a bound:

- The columns of the items confined to a set of devices (all items: all devices) are spread over
  that set.
- An unsplittable item puts all its columns on one device; a splittable one uses at most
  width / narrowest devices.
- Of k * n + 1 unsplittable items confined to n devices, some device has k + 1.
- The columns of a device are a sum of widths of options.
"""

from __future__ import annotations

import numpy as np

from search.domains.sharding.encode.items import Items

_MAX_MASKS = 64  # sets of devices examined
_MAX_SUM = 40_000  # columns up to which sums of widths are enumerated


def least_sending(items: Items, rate: np.ndarray, fits: np.ndarray) -> float:
    """Return a lower bound of the milliseconds that the slowest device sends.

    rate: (D,) milliseconds per column.
    fits: (O,) options that some device can hold.
    """
    if not (rate > 0).all():
        return 0.0
    sums = _Sums(items.options.dim[fits])
    bound = 0.0
    for mask, confined in _masks(items, len(rate)):
        bound = max(bound, _of_mask(items, rate[mask], confined, sums))
    return max(bound, _of_items(items, rate))


def _masks(items: Items, devices: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return sets of devices (D,) and the items (I,) confined to each."""
    everywhere = (np.ones(devices, dtype=bool), np.ones(len(items), dtype=bool))
    if items.allowed is None:
        return [everywhere]
    masks = np.unique(items.allowed, axis=0)[:_MAX_MASKS]
    return [
        everywhere,
        *(
            (mask, ~(items.allowed & ~mask).any(1))
            for mask in masks
            if mask.any() and not mask.all()
        ),
    ]


def _of_mask(items: Items, rate: np.ndarray, confined: np.ndarray, sums: _Sums) -> float:
    """Return the bound from the items confined to one set of devices."""
    options = items.options
    whole = items.whole[confined]
    total = float(options.dim[whole].sum())
    if total == 0:
        return 0.0
    bound = total / float((1 / rate).sum())  # sum of columns <= bound * sum of 1 / rate
    fixed = np.sort(
        options.dim[whole][items.narrowest[confined] >= options.width[whole]]
    )[::-1]
    for k in range(1, (len(fixed) - 1) // len(rate) + 1):
        shared = fixed[: k * len(rate) + 1]
        bound = max(bound, float(shared[-(k + 1) :].sum() * rate.min()))
    if (rate == rate[0]).all():
        bound = max(bound, sums.at_least(bound / rate[0]) * rate[0])
    return bound


def _of_items(items: Items, rate: np.ndarray) -> float:
    """Return the bound from each item alone."""
    options = items.options
    dim, width = options.dim[items.whole], options.width[items.whole]
    pieces = np.maximum(1, width // items.narrowest)  # devices an item can be on
    if items.allowed is None:
        share = np.cumsum(np.sort(1 / rate)[::-1])
        return float((dim / share[np.minimum(pieces, len(rate)) - 1]).max(initial=0.0))
    bound = 0.0
    for item, allowed in enumerate(items.allowed):
        fastest = np.sort(1 / rate[allowed])[::-1][: pieces[item]]
        bound = max(bound, float(dim[item] / fastest.sum())) if len(fastest) else bound
    return bound


class _Sums:
    """Numbers of columns that a device can have: sums of widths with repetition, as a bit set."""

    def __init__(self, widths: np.ndarray) -> None:
        distinct = sorted({int(w) for w in widths})
        self._unit = int(np.gcd.reduce(distinct)) if distinct else 1
        self._limit = _MAX_SUM // self._unit
        bits, full = 1, (1 << (self._limit + 1)) - 1
        for width in distinct:
            step = width // self._unit
            while step <= self._limit:
                bits = (bits | bits << step) & full
                step *= 2
        self._bits = bits

    def at_least(self, columns: float) -> float:
        """Return the least such number >= `columns`; `columns` itself beyond the enumeration."""
        units = int(np.ceil(columns / self._unit - 1e-9))
        above = self._bits >> units if units <= self._limit else 0
        if not above:
            return columns
        return float((units + ((above & -above).bit_length() - 1)) * self._unit)
