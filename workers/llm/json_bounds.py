"""Bounds that a JSON schema sets on counts and numbers, read from its keywords."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workers.llm.grammar_error import BadGrammar

MAX_COUNT = 100_000  # items or characters; more do not fit any context
_MAX_LEAST = 1000  # items or characters that must come
OF_NUMBERS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
)

Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NumberBounds:
    """Range of a number, whose ends are open or closed, and the step that it is a multiple of."""

    low: Decimal | None
    open_low: bool
    high: Decimal | None
    open_high: bool
    step: Decimal | None

    @classmethod
    def of(cls, schema: Schema, field: str) -> NumberBounds:
        """Read the bounds of a schema. Raises BadGrammar."""
        read = {name: _bound(schema, name, field) for name in OF_NUMBERS}
        low, open_low = _tighter(read["minimum"], read["exclusiveMinimum"], 1)
        high, open_high = _tighter(read["maximum"], read["exclusiveMaximum"], -1)
        return cls(
            low=low,
            open_low=open_low,
            high=high,
            open_high=open_high,
            step=read["multipleOf"],
        )

    def hold(self, number: Decimal) -> bool:
        """Return whether a number keeps them."""
        low, high = self.low, self.high
        above = low is None or number > low or (number == low and not self.open_low)
        below = high is None or number < high or (number == high and not self.open_high)
        return above and below and (not self.step or number % self.step == 0)

    def first(self, step: Decimal = Decimal(1)) -> int | None:
        """Return the least i for which `i * step` is in range; None without a lower bound."""
        return None if self.low is None else _above(self.low / step, open_=self.open_low)

    def last(self, step: Decimal = Decimal(1)) -> int | None:
        """Return the largest i for which `i * step` is in range; None without an upper bound."""
        if self.high is None:
            return None
        return -_above(-self.high / step, open_=self.open_high)


def counts(schema: Schema, low: str, high: str, field: str) -> tuple[int, int | None]:
    """Return least and most counts, the latter None without a bound. Raises BadGrammar."""
    least, most = schema.get(low, 0), schema.get(high)
    for name, value in ((low, least), (high, most)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not whole or value < 0):
            raise BadGrammar(
                f"{field}.{name}: expected a whole number, got {shown(value)}"
            )
    if least > _MAX_LEAST:
        raise BadGrammar(
            f"{field}.{low}: expected at most {_MAX_LEAST}, got {least}; lower it"
        )
    if most is not None and most < least:
        raise BadGrammar(
            f"{field}.{low}: expected at most {most}, got {least}; correct one"
        )
    return least, None if most is None else min(most, MAX_COUNT)


def json_text(value: Any, field: str) -> str:
    """Return a value as JSON. Raises BadGrammar for what JSON cannot hold."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise BadGrammar(
            f"{field}: expected JSON, got {shown(value)}; correct it"
        ) from None
    return text


def shown(value: Any) -> str:
    """Return the start of a value's text, in ASCII, for a message."""
    return repr(value)[:80].encode("ascii", "replace").decode()


def _above(value: Decimal, *, open_: bool) -> int:
    """Return the least integer that is at least, or when open above, a value."""
    ceiling = -int((-value).__floor__())
    return ceiling + 1 if open_ and ceiling == value else ceiling


def _bound(schema: Schema, name: str, field: str) -> Decimal | None:
    value = schema.get(name)
    if value is None:
        return None
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not Decimal(str(value)).is_finite() or abs(value) > 1e300:
        raise BadGrammar(
            f"{field}.{name}: expected a number, got {shown(value)}; correct it"
        )
    return Decimal(str(value))


def _tighter(
    closed: Decimal | None, open_: Decimal | None, sign: int
) -> tuple[Decimal | None, bool]:
    """Return the tighter of a closed and an open bound, and whether it is the open one."""
    if open_ is None:
        return closed, False
    if closed is None or sign * open_ >= sign * closed:
        return open_, True
    return closed, False
