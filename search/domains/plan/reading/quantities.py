"""Quantities: numbers with units, lists, ranges, products and tolerances, over typed tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from search.domains.plan.reading.numerals import ordinal_of
from search.domains.plan.reading.tokens import Form, Token
from search.domains.plan.reading.units import COMPOUND, GB_NOTE, UNITS, Dimension, Unit


class Shape(Enum):
    """How the numbers of a quantity belong together."""

    SINGLE = auto()
    LIST = auto()  # 1, 2 and 3
    RANGE = auto()  # 2.4 to 2.48
    PRODUCT = auto()  # 2x8, 35 by 35
    AROUND = auto()  # 5.8 +/- 0.075: middle and half width


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One or more numbers that share a unit."""

    shape: Shape
    numbers: tuple[float, ...]
    units: tuple[Unit, ...]  # readings of the unit; empty without one
    start: int  # token
    end: int
    tokens: tuple[int, ...]  # of the numbers
    exact: bool = True
    suffix: str = ""  # k, ki, ...
    choice: bool = False  # a list joined by "or", "vs" or "/"

    def reading(self, dimension: Dimension) -> tuple[float, ...] | None:
        """Return the numbers in a dimension's unit; None if the unit does not fit."""
        scale = {"k": 1e3, "ki": 1024.0, "mi": 2.0**20, "gi": 2.0**30}.get(
            self.suffix, 1.0
        )
        if not self.units:
            fits = dimension in (Dimension.COUNT, Dimension.RATIO)
            return tuple(scaled(n, scale) for n in self.numbers) if fits else None
        for unit in self.units:
            if unit.dimension is dimension:
                return tuple(scaled(n, unit.factor * scale) for n in self.numbers)
        return None

    def note(self, dimension: Dimension) -> str:
        """Return what to say about the unit's reading; empty if nothing."""
        return next((u.note for u in self.units if u.dimension is dimension), "")


def scaled(number: float, factor: float) -> float:
    """Return the product without the noise of binary factors: 2.402 GHz is 2402000000 Hz."""
    return float(f"{number * factor:.12g}")


_MOST_IN_A_LIST = 100
_BEHIND_A_SECOND = (
    "",
    ".",
    ",",
    ";",
    "for",
    "is",
    "on",
    "each",
    "per",
    "and",
    "at",
    "max",
    ")",
)
_TO = ("to", "through", "till", "until", "thru", "too")
_LIST = (",", "and", "or", "vs", "versus", "/", "&", "then")


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
    found: list[Quantity] = []
    i = 0
    while i < len(tokens):
        quantity = _quantity(tokens, i, headed, before_heads)
        if quantity is None:
            i += 1
            continue
        found.append(quantity)
        i = quantity.end
    return found


def _quantity(
    tokens: Sequence[Token], i: int, headed: frozenset[int], before_heads: frozenset[int]
) -> Quantity | None:
    between = _word(tokens, i) == "between"
    start = i + 1 if between else i
    first = _amount(tokens, start)
    if first is None:
        return None
    joined = (
        _range(tokens, first, between=between)
        or _around(tokens, first)
        or _product(tokens, first)
        or _listed(tokens, first, headed=i in headed, before_heads=before_heads)
        or first
    )
    return replace(joined, start=i) if between else joined


def _word(tokens: Sequence[Token], i: int) -> str:
    return tokens[i].word if 0 <= i < len(tokens) else ""


def _amount(tokens: Sequence[Token], i: int) -> Quantity | None:
    """Read one number with its unit, also "1h30", "2 min 30 s", "an hour and a half"."""
    sign, at = 1.0, i
    if (
        _word(tokens, at) in ("-", "minus")
        and _is_number(tokens, at + 1)
        and (
            _word(tokens, at) == "minus"
            or (tokens[at + 1].glued and not tokens[at].glued)
            or _word(tokens, at - 1) in ("=", "(", "<", "~")
        )
    ):
        sign, at = -1.0, at + 1
    if not _is_number(tokens, at):
        return _article(tokens, i)
    token = tokens[at]
    assert token.value is not None
    if ordinal_of(tokens, at) is not None:
        return None
    value, end = token.value, at + 1
    value, end = _slash(tokens, at, value, end)
    value, end = _decimal_comma(tokens, at, value, end)
    value, end = _power(tokens, value, end)
    if (clock := _clock(tokens, at, value)) is not None:
        return replace(clock, start=i)
    if end < len(tokens) and tokens[end].text == "G" and value in (2, 3, 4, 5, 6):
        return None  # 5G is a network
    units, end = _unit(tokens, end)
    amount = Quantity(
        shape=Shape.SINGLE,
        numbers=(sign * value,),
        units=units,
        start=i,
        end=end,
        tokens=(at,),
        exact=token.exact or bool(units),
        suffix=token.suffix,
    )
    return _more_time(tokens, amount)


def _is_number(tokens: Sequence[Token], i: int) -> bool:
    return 0 <= i < len(tokens) and tokens[i].form is Form.NUMBER


def _article(tokens: Sequence[Token], i: int) -> Quantity | None:
    """Read "a minute", "an hour", "per cent" without a number is none."""
    if _word(tokens, i) not in ("a", "an", "another"):
        return None
    following = _word(tokens, i + 1)
    if len(following) < 3 or following not in UNITS or following in ("inch", "mil"):
        return None
    units, end = _unit(tokens, i + 1)
    if following == "second" and _word(tokens, end) not in _BEHIND_A_SECOND:
        return None  # "a second rack"
    if not units or Dimension.TIME not in {u.dimension for u in units}:
        return None
    amount = Quantity(
        shape=Shape.SINGLE, numbers=(1.0,), units=units, start=i, end=end, tokens=(i,)
    )
    return _more_time(tokens, amount)


def _slash(tokens: Sequence[Token], at: int, value: float, end: int) -> tuple[float, int]:
    """Read 1/2, and 1 1/2, where a unit follows or the numerator is 1."""

    def part(j: int) -> float | None:
        return tokens[j].value if _is_number(tokens, j) else None

    slash = _word(tokens, at + 1) == "/" and tokens[at + 1].glued
    low = part(at + 2) if slash else None
    if low in (2, 3, 4, 5, 8, 10) and value < low:
        if value == 1 or _word(tokens, at + 3) in UNITS:
            return value / low, at + 3
        return value, end
    top, low = part(at + 1), part(at + 3)
    mixed = _word(tokens, at + 2) == "/" and tokens[at + 2].glued
    if mixed and top and low and top < low <= 10:
        return value + top / low, at + 4
    return value, end


def _power(tokens: Sequence[Token], value: float, end: int) -> tuple[float, int]:
    """Read 10^-3, 2^16, 2**16."""
    length = 2 if (_word(tokens, end), _word(tokens, end + 1)) == ("*", "*") else 1
    stars = _word(tokens, end) == "x" and _word(tokens, end + 1) == "*"
    if (_word(tokens, end) != "^" and length == 1 and not stars) or value not in (2, 10):
        return value, end
    end += 1 + (length == 2 or stars)
    minus = _word(tokens, end) == "-"
    exponent = tokens[end + minus] if _is_number(tokens, end + minus) else None
    most = 12 if value == 10 else 40
    if exponent is None or exponent.value is None or exponent.value > most:
        return value, end - 1
    power = -exponent.value if minus else exponent.value
    return scaled(1.0, value**power), end + 1 + minus


def _clock(tokens: Sequence[Token], at: int, value: float) -> Quantity | None:
    """Read 1:30 h and 2:30 min: two numbers around a colon, and a unit of time."""
    if not (
        _word(tokens, at + 1) == ":"
        and tokens[at + 1].glued
        and _is_number(tokens, at + 2)
    ):
        return None
    part = tokens[at + 2].value
    last = tokens[at + 4].value if _is_number(tokens, at + 4) else None
    if last is not None and _word(tokens, at + 3) == ":" and tokens[at + 4].glued:
        if part is None or part >= 60 or last >= 60:
            return None
        return Quantity(
            shape=Shape.SINGLE,
            numbers=(value * 3600 + part * 60 + last,),
            units=(Unit(dimension=Dimension.TIME, factor=1.0),),
            start=at,
            end=at + 5,
            tokens=(at, at + 2, at + 4),
        )
    units, end = _unit(tokens, at + 3)
    time = [u for u in units if u.dimension is Dimension.TIME and u.factor >= 60]
    if not tokens[at + 2].glued or part is None or part >= 60 or not time:
        return None
    return Quantity(
        shape=Shape.SINGLE,
        numbers=(value + part / 60,),
        units=tuple(time),
        start=at,
        end=end,
        tokens=(at, at + 2),
    )


def _decimal_comma(
    tokens: Sequence[Token], at: int, value: float, end: int
) -> tuple[float, int]:
    """Read 2,5 GHz: a comma between digits without spaces, and a unit of its own behind it."""
    if not (
        _word(tokens, at + 1) == ","
        and tokens[at + 1].glued
        and _is_number(tokens, at + 2)
    ):
        return value, end
    digits = tokens[at + 2]
    follows_unit = bool(_unit(tokens, at + 3)[0]) or _word(tokens, at + 3) in (*_TO, "-")
    if end == at + 1 and digits.glued and digits.text.isdigit() and follows_unit:
        return float(f"{value:.0f}.{digits.text}"), at + 3
    return value, end


def _unit(tokens: Sequence[Token], i: int) -> tuple[tuple[Unit, ...], int]:
    dash = _word(tokens, i) == "-" and tokens[i].glued and _word(tokens, i + 1) in UNITS
    if dash and tokens[i + 1].glued:
        i += 1
    for length in (3, 2):
        words = tuple(_word(tokens, i + k) for k in range(length))
        if words in COMPOUND:
            return (COMPOUND[words],), i + length
    word = _word(tokens, i)
    if word in UNITS and tokens[i].form in (Form.WORD, Form.MARK):
        following = _word(tokens, i + 1)
        if word == "d" and not tokens[i].glued:
            return (), i
        if word == "go" and tokens[i].text != "Go":
            return (), i
        if word == "in" or (word == "second" and following in ("file", "one", "model")):
            return (), i
        return _case(tokens[i], UNITS[word]), i + 1
    return (), i


def _case(token: Token, units: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """Drop readings that the letters' case rules out: M is a million, not minutes."""
    if token.text == "M":
        return (Unit(dimension=Dimension.COUNT, factor=1e6),)
    if token.text == "Go":
        return (Unit(dimension=Dimension.MEMORY, factor=1.0, note=GB_NOTE),)
    if token.text == "G":
        return (
            *units,
            Unit(dimension=Dimension.FREQUENCY, factor=1e9),
            Unit(dimension=Dimension.COUNT, factor=1e9),
        )
    return units


def _more_time(tokens: Sequence[Token], amount: Quantity) -> Quantity:
    """Add smaller parts of a duration: 1h30, 2 min 30 s, an hour and a half."""
    time = next((u for u in amount.units if u.dimension is Dimension.TIME), None)
    if time is None:
        return amount
    at = amount.end
    if (
        _word(tokens, at) == "and"
        and _word(tokens, at + 1) == "a"
        and _word(tokens, at + 2)
        in (
            "half",
            "quarter",
        )
    ):
        extra = 0.5 if _word(tokens, at + 2) == "half" else 0.25
        return replace(amount, numbers=(amount.numbers[0] + extra,), end=at + 3)
    joined = _word(tokens, at) == "and"
    at += joined
    value = tokens[at].value if _is_number(tokens, at) else None
    if value is None:
        return amount
    if joined and tokens[at].text.startswith("a ") and value < 1:
        return replace(amount, numbers=(amount.numbers[0] + value,), end=at + 1)
    units, end = _unit(tokens, at + 1)
    smaller = next((u for u in units if u.dimension is Dimension.TIME), None)
    if smaller is None:
        alone = _word(tokens, at + 1) in ("", ",", ".", ";", ")")
        if joined or units or time.factor <= 1 or not 0 < value < 60:
            return amount
        if not (tokens[at].glued or alone):
            return amount
        smaller = Unit(dimension=Dimension.TIME, factor=time.factor / 60)
    if smaller.factor >= time.factor or value * smaller.factor >= time.factor * 10:
        return amount
    # "30 s and 20 s" are two durations, "1 min and 30 s" is one: only a smaller unit adds.
    number = amount.numbers[0] + scaled(value, smaller.factor / time.factor)
    return _more_time(
        tokens, replace(amount, numbers=(number,), end=end, tokens=(*amount.tokens, at))
    )


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


def _range(tokens: Sequence[Token], first: Quantity, *, between: bool) -> Quantity | None:
    at, word = first.end, _word(tokens, first.end)
    if word == "up" and _word(tokens, at + 1) == "to":
        at, word = at + 1, "to"
    if word == "." and _word(tokens, at + 1) == ".":
        while _word(tokens, at + 1) == ".":
            at += 1
        word = "to"
    dash = word == "-" and (
        not first.units or Dimension.TIME not in {u.dimension for u in first.units}
    )
    if not (word in _TO or dash or (between and word == "and")):
        return None
    second = _amount(tokens, at + 1)
    if second is None or (not second.exact and not second.units):
        return None
    joined = _join(first, second, Shape.RANGE)
    if joined is None or not (joined.numbers[0] <= joined.numbers[1]):
        return None
    return joined


def _around(tokens: Sequence[Token], first: Quantity) -> Quantity | None:
    words = [_word(tokens, first.end + k) for k in range(3)]
    if words[0] == "\u00b1":
        at = first.end + 1
    elif words[:2] == ["+", "-"]:
        at = first.end + 2
    elif words in (["+", "/", "-"], ["plus", "or", "minus"]):
        at = first.end + 3
    else:
        return None
    width = _amount(tokens, at)
    if width is not None and words[-2:] == ["/", "-"]:
        width = replace(width, numbers=tuple(abs(n) for n in width.numbers))
    return None if width is None else _join(first, width, Shape.AROUND)


def _product(tokens: Sequence[Token], first: Quantity) -> Quantity | None:
    if _word(tokens, first.end) not in ("x", "by", "*", "times"):
        return None
    second = _amount(tokens, first.end + 1)
    return None if second is None else _join(first, second, Shape.PRODUCT)


def _listed(
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
        word = _word(tokens, at)
        if word not in _LIST:
            break
        at += 1
        if word == "," and _word(tokens, at) in ("and", "or", "then"):
            word, at = _word(tokens, at), at + 1
        following = _amount(tokens, at)
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
    braces = _word(tokens, first.start - 1) in ("{", "[", "(")
    if commas and len(joined.numbers) == 2 and not headed and not braces:
        return None  # "for 20, 2 threads" is no list
    return None if joined is first else replace(joined, choice=choice)
