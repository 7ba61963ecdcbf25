"""Several numbers that share a unit: ranges, tolerances, products and lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.quantities.amount import TO, amount_at, word_at
from search.domains.plan.reading.quantities.quantity import Quantity, Shape, scaled
from search.domains.plan.reading.tokens import Token
from search.domains.plan.reading.units import Dimension, Unit

_MOST_IN_A_LIST = 100
_LIST = (",", "and", "or", "vs", "versus", "/", "&", "then")


def _compatible(left: Quantity, right: Quantity) -> tuple[Unit, ...] | None:
    """Return the units that two parts share; an elliptic first part takes the second's."""
    if not left.units or not right.units:
        return left.units or right.units
    dimensions = {u.dimension for u in left.units} & {u.dimension for u in right.units}
    shared = tuple(u for u in right.units if u.dimension in dimensions)
    return shared or None


def _join(
    left: Quantity,
    right: Quantity,
    shape: Shape,
    numbers: tuple[float, ...] | None = None,
) -> Quantity | None:
    units = _compatible(left, right)
    if units is None:
        return None
    if numbers is None:
        first = left.numbers
        if left.units and right.units and left.units != right.units:
            factors = {u.dimension: u.factor for u in left.units}
            unit = units[0]
            first = tuple(scaled(n, factors[unit.dimension] / unit.factor) for n in first)
        numbers = (*first, *right.numbers)
    return Quantity(
        shape=shape,
        numbers=numbers,
        units=units,
        start=left.start,
        end=right.end,
        tokens=(*left.tokens, *right.tokens),
        exact=left.exact or right.exact,
        suffix=right.suffix or left.suffix,
    )


def range_from(
    tokens: Sequence[Token], first: Quantity, *, between: bool
) -> Quantity | None:
    """Read "2.4 to 2.48 GHz", "between 2 and 4"."""
    at, word = first.end, word_at(tokens, first.end)
    if word == "up" and word_at(tokens, at + 1) == "to":
        at, word = at + 1, "to"
    if word == "." and word_at(tokens, at + 1) == ".":
        while word_at(tokens, at + 1) == ".":
            at += 1
        word = "to"
    dash = word == "-" and (
        not first.units or Dimension.TIME not in {u.dimension for u in first.units}
    )
    if not (word in TO or dash or (between and word == "and")):
        return None
    second = amount_at(tokens, at + 1)
    if second is None or (not second.exact and not second.units):
        return None
    joined = _join(first, second, Shape.RANGE)
    if joined is None or not (joined.numbers[0] <= joined.numbers[1]):
        return None
    return joined


def around(tokens: Sequence[Token], first: Quantity) -> Quantity | None:
    """Read "5.8 ± 0.075 GHz": a middle and half a width."""
    words = [word_at(tokens, first.end + k) for k in range(3)]
    if words[0] == "\u00b1":
        at = first.end + 1
    elif words[:2] == ["+", "-"]:
        at = first.end + 2
    elif words in (["+", "/", "-"], ["plus", "or", "minus"]):
        at = first.end + 3
    else:
        return _to_either_side(tokens, first)
    width = amount_at(tokens, at)
    if width is not None and words[-2:] == ["/", "-"]:
        width = replace(width, numbers=tuple(abs(n) for n in width.numbers))
    return None if width is None else _join(first, width, Shape.AROUND)


def _to_either_side(tokens: Sequence[Token], first: Quantity) -> Quantity | None:
    """Read "915 MHz, 13 MHz to either side"."""
    at = first.end + (word_at(tokens, first.end) in (",", "with", "and"))
    if not first.units or at == first.end:
        return None
    width = amount_at(tokens, at)
    if width is None or not width.units:
        return None
    behind = [word_at(tokens, width.end + k) for k in range(3)]
    sides = behind[0] in ("to", "on", "at") and behind[1] in ("either", "each", "both")
    if not sides or not behind[2].startswith("side"):
        return None
    joined = _join(first, width, Shape.AROUND)
    return None if joined is None else replace(joined, end=width.end + 3)


def product(tokens: Sequence[Token], first: Quantity) -> Quantity | None:
    """Read "2x8", "35 by 35 mm"."""
    if word_at(tokens, first.end) not in ("x", "by", "*", "times"):
        return None
    second = amount_at(tokens, first.end + 1)
    return None if second is None else _join(first, second, Shape.PRODUCT)


def listed(
    tokens: Sequence[Token],
    first: Quantity,
    *,
    headed: bool,
    before_heads: frozenset[int],
) -> Quantity | None:
    """Read "1, 2 and 3", "8 or 16", "30 and 60 seconds": parts without units of their own."""
    joined, choice, commas = first, False, True
    while len(joined.numbers) < _MOST_IN_A_LIST:
        at = joined.end
        word = word_at(tokens, at)
        if word not in _LIST:
            break
        at += 1
        if word == "," and word_at(tokens, at) in ("and", "or", "then"):
            word, at = word_at(tokens, at), at + 1
        following = amount_at(tokens, at)
        if following is None or not following.exact:
            break
        if joined.shape is Shape.SINGLE and joined.units and not following.units:
            break
        if not joined.units and following.units and (word == "," or headed):
            break
        if not following.units and headed and following.end in before_heads:
            break
        if following.units and joined.units and following.end in before_heads:
            break  # "2.45 GHz and 100 MHz wide": each has its own name
        more = _join(joined, following, Shape.LIST)
        if more is None:
            break
        joined, choice = more, choice or word in ("or", "vs", "versus", "/")
        commas = commas and word == ","
    braces = word_at(tokens, first.start - 1) in ("{", "[", "(")
    if commas and len(joined.numbers) == 2 and not headed and not braces:
        return None  # "for 20, 2 threads" is no list
    return None if joined is first else replace(joined, choice=choice)
