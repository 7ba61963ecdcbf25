"""One number with its unit: "2.4 GHz", "half an hour", "1:30 h", "10^-3"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.numerals import ordinal_of
from search.domains.plan.reading.quantities.quantity import Quantity, Shape, scaled
from search.domains.plan.reading.tokens import Form, Token
from search.domains.plan.reading.units import COMPOUND, GB_NOTE, UNITS, Dimension, Unit

TO = ("to", "through", "till", "until", "thru", "too")
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


def word_at(tokens: Sequence[Token], i: int) -> str:
    """Return the word of a token; empty outside the text."""
    return tokens[i].word if 0 <= i < len(tokens) else ""


def amount_at(tokens: Sequence[Token], i: int) -> Quantity | None:
    """Read one number with its unit, also "1h30", "2 min 30 s", "an hour and a half"."""
    sign, at = 1.0, i
    if (
        word_at(tokens, at) in ("-", "minus")
        and is_number(tokens, at + 1)
        and (
            word_at(tokens, at) == "minus"
            or (tokens[at + 1].glued and not tokens[at].glued)
            or word_at(tokens, at - 1) in ("=", "(", "<", "~")
        )
    ):
        sign, at = -1.0, at + 1
    if not is_number(tokens, at):
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


def is_number(tokens: Sequence[Token], i: int) -> bool:
    """Return whether a token is a number."""
    return 0 <= i < len(tokens) and tokens[i].form is Form.NUMBER


def _article(tokens: Sequence[Token], i: int) -> Quantity | None:
    """Read "a minute", "an hour", "per cent" without a number is none."""
    if word_at(tokens, i) not in ("a", "an", "another"):
        return None
    following = word_at(tokens, i + 1)
    if len(following) < 3 or following not in UNITS or following in ("inch", "mil"):
        return None
    units, end = _unit(tokens, i + 1)
    if following == "second" and word_at(tokens, end) not in _BEHIND_A_SECOND:
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
        return tokens[j].value if is_number(tokens, j) else None

    slash = word_at(tokens, at + 1) == "/" and tokens[at + 1].glued
    low = part(at + 2) if slash else None
    if low in (2, 3, 4, 5, 8, 10) and value < low:
        if value == 1 or word_at(tokens, at + 3) in UNITS:
            return value / low, at + 3
        return value, end
    top, low = part(at + 1), part(at + 3)
    mixed = word_at(tokens, at + 2) == "/" and tokens[at + 2].glued
    if mixed and top and low and top < low <= 10:
        return value + top / low, at + 4
    return value, end


def _power(tokens: Sequence[Token], value: float, end: int) -> tuple[float, int]:
    """Read 10^-3, 2^16, 2**16."""
    length = 2 if (word_at(tokens, end), word_at(tokens, end + 1)) == ("*", "*") else 1
    stars = word_at(tokens, end) == "x" and word_at(tokens, end + 1) == "*"
    if (word_at(tokens, end) != "^" and length == 1 and not stars) or value not in (
        2,
        10,
    ):
        return value, end
    end += 1 + (length == 2 or stars)
    minus = word_at(tokens, end) == "-"
    exponent = tokens[end + minus] if is_number(tokens, end + minus) else None
    most = 12 if value == 10 else 40
    if exponent is None or exponent.value is None or exponent.value > most:
        return value, end - 1
    power = -exponent.value if minus else exponent.value
    return scaled(1.0, value**power), end + 1 + minus


def _clock(tokens: Sequence[Token], at: int, value: float) -> Quantity | None:
    """Read 1:30 h and 2:30 min: two numbers around a colon, and a unit of time."""
    if not (
        word_at(tokens, at + 1) == ":"
        and tokens[at + 1].glued
        and is_number(tokens, at + 2)
    ):
        return None
    part = tokens[at + 2].value
    last = tokens[at + 4].value if is_number(tokens, at + 4) else None
    if last is not None and word_at(tokens, at + 3) == ":" and tokens[at + 4].glued:
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
        word_at(tokens, at + 1) == ","
        and tokens[at + 1].glued
        and is_number(tokens, at + 2)
    ):
        return value, end
    digits = tokens[at + 2]
    follows_unit = bool(_unit(tokens, at + 3)[0]) or word_at(tokens, at + 3) in (*TO, "-")
    if end == at + 1 and digits.glued and digits.text.isdigit() and follows_unit:
        return float(f"{value:.0f}.{digits.text}"), at + 3
    return value, end


def _unit(tokens: Sequence[Token], i: int) -> tuple[tuple[Unit, ...], int]:
    dash = (
        word_at(tokens, i) == "-" and tokens[i].glued and word_at(tokens, i + 1) in UNITS
    )
    if dash and tokens[i + 1].glued:
        i += 1
    if word_at(tokens, i) in ("more", "further") and len(word_at(tokens, i + 1)) > 2:
        units, end = _unit(tokens, i + 1) if word_at(tokens, i + 1) in UNITS else ((), i)
        if Dimension.TIME in {u.dimension for u in units}:
            return units, end  # "four more minutes"
    for length in (3, 2):
        words = tuple(word_at(tokens, i + k) for k in range(length))
        if words in COMPOUND:
            return (COMPOUND[words],), i + length
    word = word_at(tokens, i)
    if word in UNITS and tokens[i].form in (Form.WORD, Form.MARK):
        following = word_at(tokens, i + 1)
        if word == "d" and not tokens[i].glued:
            return (), i
        if word == "go" and tokens[i].text != "Go":
            return (), i
        if word == "h" and not tokens[i].glued and _names_a_height(tokens, i):
            return (), i
        if word == "in" or (word == "second" and following in ("file", "one", "model")):
            return (), i
        return _case(tokens[i], UNITS[word]), i + 1
    return (), i


def _names_a_height(tokens: Sequence[Token], i: int) -> bool:
    """Return whether "h" names the number behind it: "er 3.55 h=0.813", not "1 h 30 min"."""
    if word_at(tokens, i + 1) == "=":
        return True
    behind = tokens[i + 1] if is_number(tokens, i + 1) else None
    return behind is not None and behind.value is not None and "." in behind.text


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
        word_at(tokens, at) == "and"
        and word_at(tokens, at + 1) == "a"
        and word_at(tokens, at + 2)
        in (
            "half",
            "quarter",
        )
    ):
        extra = 0.5 if word_at(tokens, at + 2) == "half" else 0.25
        return replace(amount, numbers=(amount.numbers[0] + extra,), end=at + 3)
    joined = word_at(tokens, at) == "and"
    at += joined
    value = tokens[at].value if is_number(tokens, at) else None
    if value is None:
        return amount
    if joined and tokens[at].text.startswith("a ") and value < 1:
        return replace(amount, numbers=(amount.numbers[0] + value,), end=at + 1)
    units, end = _unit(tokens, at + 1)
    smaller = next((u for u in units if u.dimension is Dimension.TIME), None)
    if smaller is None:
        alone = word_at(tokens, at + 1) in ("", ",", ".", ";", ")")
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
