"""Search for the quantities of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.quantities.amount import amount_at, word_at
from search.domains.plan.reading.quantities.joined import (
    around,
    listed,
    product,
    range_from,
)
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.tokens import Token


def quantities_of(
    tokens: Sequence[Token],
    *,
    headed: frozenset[int] = frozenset(),
    before_heads: frozenset[int] = frozenset(),
) -> list[Quantity]:
    """Return the quantities in the order of the text; none overlaps another.

    `headed`: tokens right behind the name of a slot without a unit, such as "seed". A number there
    is no part of a list whose unit comes later: "seed 3 and 30 seconds". `before_heads`: first
    tokens of such names; a number in front of one is its own: "seed 3, 500 evaluations".
    """
    quantities: list[Quantity] = []
    i = 0
    while i < len(tokens):
        quantity = _quantity(tokens, i, headed, before_heads)
        if quantity is None:
            i += 1
            continue
        quantities.append(quantity)
        i = quantity.end
    return quantities


def _quantity(
    tokens: Sequence[Token], i: int, headed: frozenset[int], before_heads: frozenset[int]
) -> Quantity | None:
    between = word_at(tokens, i) == "between"
    start = i + 1 if between else i
    first = amount_at(tokens, start)
    if first is None:
        return None
    joined = (
        range_from(tokens, first, between=between)
        or around(tokens, first)
        or product(tokens, first)
        or listed(tokens, first, headed=i in headed, before_heads=before_heads)
        or first
    )
    return replace(joined, start=i) if between else joined
