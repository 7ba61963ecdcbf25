"""The closed list of operations that make facts of facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from search.domains.plan.ledger.numbers import CONTEXT

HUNDRED = Decimal(100)


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    if whole == 0:
        return None
    return CONTEXT.divide(CONTEXT.multiply(HUNDRED, part), abs(whole))


def _ratio(values: Sequence[Decimal]) -> Decimal | None:
    return CONTEXT.divide(values[0], values[1]) if values[1] != 0 else None


def _sum(values: Sequence[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = CONTEXT.add(total, value)
    return total


Operation = Callable[[Sequence[Decimal]], Decimal | None]
"""Values -> result; None where it is not defined."""

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "difference": lambda v: CONTEXT.subtract(v[0], v[1]),
        "ratio": _ratio,
        # The first is that many percent less, or more, than the second.
        "percent_less": lambda v: _share(CONTEXT.subtract(v[1], v[0]), v[1]),
        "percent_more": lambda v: _share(CONTEXT.subtract(v[0], v[1]), v[1]),
        # From the first to the second.
        "percent_change": lambda v: _share(CONTEXT.subtract(v[1], v[0]), v[0]),
        "sum": _sum,
        "min": min,
        "max": max,
    }
)


def statement(op: str, values: Sequence[Decimal], texts: Sequence[str]) -> bool | None:
    """Return the truth of a comparison; None for an unknown operation.

    texts: the values as shown, by one rule. What is shown alike is equal: a report never says that
        one of two figures is less when the reader sees the same one twice.
    """
    if op == "some":
        return values[0] > 0
    alike = texts[0] == texts[1]
    match op:
        case "less":
            return values[0] < values[1] and not alike
        case "more":
            return values[0] > values[1] and not alike
        case "equal":
            return alike
        case "differs":
            return not alike
        case "at_most":
            return values[0] <= values[1]
    return None
