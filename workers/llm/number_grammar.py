"""Numbers within bounds as grammars, decided digit by digit."""

from __future__ import annotations

from decimal import Decimal

from workers.llm.grammar_error import BadGrammar

MAX_INTEGER = 10**15 - 1  # exact in every JSON implementation
_MAX_NUMBER = Decimal(10) ** 15
_DIGITS = 15  # significant ones, so that decimals and doubles compare alike


def integer(low: int, high: int, *, field: str) -> str:
    """Return a grammar of the integers from `low` to `high`. Raises BadGrammar if there is none."""
    if low > high:
        raise BadGrammar(
            f"{field}: expected an integer within its bounds, got {low} to {high}; widen them"
        )
    parts = []
    if low < 0:
        parts.append(f'"-" {_whole(max(1, -high), -low)}')
    if high >= 0:
        parts.append(_whole(max(0, low), high))
    return _one_of(parts)


def _one_of(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else "(" + " | ".join(parts) + ")"


def _whole(low: int, high: int) -> str:
    """Return a grammar of the whole numbers from `low` >= 0 to `high`."""
    parts, full = [], []
    for length in range(len(str(low)), len(str(high)) + 1):
        first = 0 if length == 1 else 10 ** (length - 1)
        begin, end = max(low, first), min(high, 10**length - 1)
        if length > 1 and (begin, end) == (first, 10**length - 1):
            full.append(length - 1)
        else:
            parts.append(_same_length(str(begin), str(end)))
    if full:
        parts.append(f"[1-9] [0-9]{{{full[0]},{full[-1]}}}")
    return _one_of(parts)


def _digit(first: int, last: int) -> str:
    return f"[{first}-{last}]" if first < last else f'"{first}"'


def _any(count: int) -> str:
    return f"[0-9]{{{count},{count}}}" if count else ""


def _same_length(low: str, high: str) -> str:
    """Return a grammar of numbers of one length, in digits, leading zeros included."""
    if not low:
        return ""
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return f"{_digit(int(low[0]), int(high[0]))} {_any(rest)}".strip()
    if low[0] == high[0]:
        return f'"{low[0]}" {_same_length(low[1:], high[1:])}'
    first, last = int(low[0]), int(high[0])
    parts = []
    if low[1:] != "0" * rest:
        parts.append(f'"{first}" {_same_length(low[1:], "9" * rest)}')
        first += 1
    top = high[1:] != "9" * rest
    if first <= last - top:
        parts.append(f"{_digit(first, last - top)} {_any(rest)}".strip())
    if top:
        parts.append(f'"{last}" {_same_length("0" * rest, high[1:])}')
    return _one_of(parts)


def number(
    low: Decimal | None,
    high: Decimal | None,
    *,
    open_low: bool,
    open_high: bool,
    field: str,
) -> str:
    """Return a grammar of decimal numbers within bounds, each open or closed.

    Without bounds, of numbers with an exponent too. Raises BadGrammar if there is none.
    """
    if low is None and high is None:
        return '"-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})? ("e" [+\\u002d]? [0-9]{1,2})?'
    if low is None:
        low, open_low = min(-_MAX_NUMBER, (high or Decimal(0)) - _MAX_NUMBER), False
    if high is None:
        high, open_high = max(_MAX_NUMBER, low + _MAX_NUMBER), False
    parts = []
    zero = Decimal(0)
    if low < 0:
        # Never -0: a negative number ends below zero.
        end, open_end = (-high, open_high) if high < 0 else (zero, True)
        parts += [f'"-" {part}' for part in _decimals(end, -low, open_end, open_low)]
    if high >= 0:
        begin, open_begin = (low, open_low) if low >= 0 else (zero, False)
        parts += _decimals(begin, high, open_begin, open_high)
    if not parts:
        raise BadGrammar(
            f"{field}: expected a number within its bounds, got {low} to {high}; widen them"
        )
    return _one_of(parts)


def _split(value: Decimal) -> tuple[int, str]:
    """Return the whole part and the digits of the fraction, without trailing zeros."""
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _decimals(low: Decimal, high: Decimal, open_low: bool, open_high: bool) -> list[str]:
    """Return grammars of decimals from `low` >= 0 to `high`."""
    if low > high or (low == high and (open_low or open_high)):
        return []
    (first, low_digits), (last, high_digits) = _split(low), _split(high)
    lower, upper = (_Fraction(_places(whole)) for whole in (first, last))
    if first == last:
        inside = lower.between(low_digits, high_digits, open_low, open_high)
        return [f'"{first}" {inside}'] if inside is not None else []
    parts = [f'"{first}" {lower.least(low_digits, open_low)}']
    for length in range(len(str(first + 1)), len(str(last - 1)) + 1):
        begin = max(first + 1, 0 if length == 1 else 10 ** (length - 1))
        end = min(last - 1, 10**length - 1)
        if begin <= end:
            tail = _Fraction(_places(end))
            parts.append(f"{_whole(begin, end)} {tail.anything()}")
    top = upper.most(high_digits, open_high)
    if top is not None:
        parts.append(f'"{last}" {top}')
    return parts


def _places(whole: int) -> int:
    """Return the digits after the point of numbers with this whole part."""
    return max(1, _DIGITS - len(str(whole)))


class _Fraction:
    """Grammars of what follows the whole part: nothing, or a point and digits."""

    def __init__(self, digits: int) -> None:
        self._digits = digits

    def anything(self) -> str:
        return f'("." [0-9]{{1,{self._digits}}})?'

    def _more(self, digits: str) -> str:
        """Return a grammar of any digits after those that are decided."""
        left = max(0, self._digits - len(digits))
        return f"[0-9]{{0,{left}}}" if left else ""

    def least(self, bound: str, open_: bool) -> str:
        """Return fractions of at least 0.bound, or above it."""
        if not bound and not open_:
            return self.anything()
        return f'"." {self._at_least(bound, "", open_)}'

    def _at_least(self, bound: str, before: str, open_: bool) -> str:
        if not bound:
            if not open_:
                return self._more(before)
            zeros = max(0, self._digits - len(before) - 1)
            return (
                f'"0"{{0,{zeros}}} [1-9] {self._more(before + "0")}' if zeros else "[1-9]"
            )
        digit = int(bound[0])
        parts = [f'"{digit}" {self._at_least(bound[1:], before + bound[0], open_)}']
        if digit < 9:
            parts.append(f"{_digit(digit + 1, 9)} {self._more(before + '0')}")
        return _one_of(parts)

    def most(self, bound: str, open_: bool) -> str | None:
        """Return fractions of at most 0.bound, or below it; None if there is none."""
        if not bound:
            return None if open_ else ""
        return f'("." {self._at_most(bound, "", open_)})?'

    def _at_most(self, bound: str, before: str, open_: bool) -> str:
        """Return digits, at least one, of at most `bound`, which is not empty."""
        digit, rest = int(bound[0]), bound[1:]
        parts = []
        if digit > 0:
            parts.append(f"{_digit(0, digit - 1)} {self._more(before + '0')}")
        if rest:
            parts.append(f'"{digit}" ({self._at_most(rest, before + bound[0], open_)})?')
        elif not open_:
            parts.append(f'"{digit}"')
        # A last digit of 0 is stripped, so that one part always remains.
        return _one_of(parts)

    def between(self, low: str, high: str, open_low: bool, open_high: bool) -> str | None:
        """Return fractions from 0.low to 0.high, None if there is none."""
        if low == high:
            digits = f'"." "{low}"' if low else ""
            return None if open_low or open_high else digits
        if not low and not open_low:
            return self.most(high, open_high)
        return f'"." {self._inside(low, high, "", open_low, open_high)}'

    def _inside(
        self, low: str, high: str, before: str, open_low: bool, open_high: bool
    ) -> str:
        """Return digits between `low` and `high`, where 0.low < 0.high."""
        first, last = int(low[:1] or "0"), int(high[0])
        if first == last:
            rest = self._inside(low[1:], high[1:], before + high[0], open_low, open_high)
            # At the lower bound itself digits may end, when it is closed.
            ends = "" if low[1:] or open_low or not low else "?"
            return f'"{last}" ({rest}){ends}'
        if low:
            parts = [f'"{first}" {self._at_least(low[1:], before + low[0], open_low)}']
        else:
            parts = [f'"0" {self._at_least("", before + "0", open_low)}']
        if first + 1 <= last - 1:
            parts.append(f"{_digit(first + 1, last - 1)} {self._more(before + '0')}")
        if high[1:]:
            rest = self._at_most(high[1:], before + high[0], open_high)
            parts.append(f'"{last}" ({rest})?')
        elif not open_high:
            parts.append(f'"{last}"')
        return _one_of(parts)
