"""Decimal texts of JSON numbers, and the texts of rounded figures.

A figure is rounded once, when it is shown. The value beside it keeps the digits of the result.
"""

from __future__ import annotations

import decimal
from decimal import Decimal

CONTEXT = decimal.Context(prec=120, rounding=decimal.ROUND_HALF_EVEN)
"""Sums and differences of numbers within `LEAST` and `MOST` are exact in it."""
LEAST, MOST = Decimal("1e-30"), Decimal("1e30")
_KEPT = decimal.Context(prec=34, rounding=decimal.ROUND_HALF_EVEN)  # IEEE decimal128
_LEAST, _MOST = Decimal("1e-4"), Decimal("1e15")  # shown without an exponent
_SCALES = {"percent": 2, "giga": -9}  # powers of ten
_DIGITS = {"three": 3, "six": 6, "percent": 3, "signed": 3, "giga": 6}
RULES = {
    "exact": "every digit",
    "three": "whole numbers in full, others to three significant digits",
    "six": "whole numbers in full, others to six significant digits",
    "percent": "times one hundred, to three significant digits",
    "signed": "with its sign, to three significant digits",
    "giga": "in billions, to six significant digits",
}


def decimal_text(number: object) -> str | None:
    """Return the shortest decimal text of a JSON number.

    None for anything else, and for magnitudes outside `LEAST` and `MOST`, which no result means.
    """
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    try:
        value = Decimal(repr(number))
    except (ValueError, decimal.InvalidOperation):  # an integer of thousands of digits
        return None
    usual = value.is_finite() and (value == 0 or LEAST <= abs(value) <= MOST)
    return repr(number) if usual else None


def kept_text(number: Decimal) -> str:
    """Return the text of a derived value in the ledger: 34 digits."""
    return str(_KEPT.plus(number))


def shown(value: str | Decimal, rule: str) -> str:
    """Return a value as a report writes it, by a rule of `RULES`."""
    number = Decimal(value).scaleb(_SCALES.get(rule, 0), CONTEXT)
    whole = number == number.to_integral_value()
    if rule == "exact" or (whole and rule in ("three", "six") and abs(number) < _MOST):
        text = written(number.normalize(CONTEXT))
    else:
        digits = decimal.Context(prec=_DIGITS[rule], rounding=decimal.ROUND_HALF_EVEN)
        rounded = digits.plus(number)
        text = written(rounded.normalize(CONTEXT) if rounded == number else rounded)
    return f"+{text}" if rule == "signed" and number > 0 else text


def written(number: Decimal) -> str:
    """Return a number with grouped thousands, or with an exponent where that is shorter."""
    if number == 0:
        return "0"
    if _LEAST <= abs(number) < _MOST:
        return f"{number:,f}"
    sign, digits, _ = number.as_tuple()
    written_digits = "".join(map(str, digits))
    mantissa = written_digits[0] + (
        f".{written_digits[1:]}" if written_digits[1:] else ""
    )
    return f"{'-' if sign else ''}{mantissa}e{number.adjusted()}"
