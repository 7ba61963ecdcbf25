"""Texts of rounded numbers, computed with fractions and integers."""

from __future__ import annotations

from fractions import Fraction

_DIGITS = {"three": 3, "percent": 3, "signed": 3, "six": 6, "giga": 6}
_FACTORS = {"percent": Fraction(100), "giga": Fraction(1, 10**9)}


def text_of(value: Fraction, rule: str) -> str:
    """Return how a report must show a value by a rule of `measures.toml`."""
    number = value * _FACTORS.get(rule, 1)
    if number == 0:
        return "0"
    exact = rule == "exact" or (
        rule in ("three", "six") and number.denominator == 1 and abs(number) < 10**15
    )
    if exact:
        return _sign(number, rule) + _plain(abs(number), None)
    digits, power = _rounded(abs(number), _DIGITS[rule])
    unchanged = Fraction(digits) * _ten(power) == abs(number)
    if unchanged:
        while digits % 10 == 0:
            digits, power = digits // 10, power + 1
    rounded = Fraction(digits) * _ten(power)
    if Fraction(1, 10**4) <= rounded < 10**15:
        return _sign(number, rule) + _plain(rounded, None if unchanged else -power)
    return _sign(number, rule) + _with_exponent(digits, power)


def _sign(number: Fraction, rule: str) -> str:
    if number < 0:
        return "-"
    return "+" if rule == "signed" else ""


def _ten(power: int) -> Fraction:
    return Fraction(10**power) if power >= 0 else Fraction(1, 10**-power)


def _rounded(number: Fraction, digits: int) -> tuple[int, int]:
    """Return (integer of `digits` digits, power of ten), half to even."""
    power = len(str(number.numerator)) - len(str(number.denominator)) - digits
    while number / _ten(power) >= 10**digits:
        power += 1
    while number / _ten(power) < 10 ** (digits - 1):
        power -= 1
    whole = round(number / _ten(power))  # of fractions: half to even
    return (whole // 10, power + 1) if whole == 10**digits else (whole, power)


def _plain(number: Fraction, places: int | None) -> str:
    """Return decimal digits: as many places as given, or as the number has."""
    if places is None:
        places = 0
        while (number * 10**places).denominator != 1:
            places += 1
            if places > 400:
                raise ValueError("a derived value with no end cannot be shown exactly")
    if places <= 0:
        return f"{int(number):,}" if number < 10**15 else _exact_exponent(number)
    scaled = str(int(number * 10**places)).rjust(places + 1, "0")
    if number < Fraction(1, 10**4):
        return _exact_exponent(number)
    return f"{int(scaled[:-places]):,}.{scaled[-places:]}"


def _exact_exponent(number: Fraction) -> str:
    places = 0
    while (number * 10**places).denominator != 1:
        places += 1
    digits, power = int(number * 10**places), -places
    while digits % 10 == 0:
        digits, power = digits // 10, power + 1
    return _with_exponent(digits, power)


def _with_exponent(digits: int, power: int) -> str:
    text = str(digits)
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{mantissa}e{power + len(text) - 1}"
