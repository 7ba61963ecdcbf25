"""Tiny programs in fractions, and writers that spell them in every legal way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from solvers.exact import ExactModel

Side = Fraction | None
Row = tuple[dict[int, Fraction], Side, Side]


@dataclass(frozen=True, kw_only=True)
class Program:
    """optimise costs·x + offset; columns are x0, x1, …, rows r0, r1, …; None is infinite."""

    maximize: bool
    offset: Fraction
    costs: list[Fraction]
    lower: list[Side]
    upper: list[Side]
    integer: list[bool]
    rows: list[Row]


def as_program(model: ExactModel) -> Program:
    """What a reader understood, zeros left out."""
    terms: list[dict[int, Fraction]] = [{} for _ in range(model.m)]
    for row, column, value in zip(
        model.entry_row, model.entry_col, model.entry_value, strict=True
    ):
        assert column not in terms[row]
        terms[row][column] = model.values[value]
    return Program(
        maximize=model.maximize,
        offset=model.offset,
        costs=[model.objective.get(column, Fraction(0)) for column in range(model.n)],
        lower=list(model.lower),
        upper=list(model.upper),
        integer=[bool(each) for each in model.integer],
        rows=list(zip(terms, model.row_lower, model.row_upper, strict=True)),
    )


def decimal(rng: random.Random, *, zero: bool = True, digits: int = 8) -> Fraction:
    """A number that a file can hold exactly; often 0 or ±1."""
    pick = rng.random()
    if pick < 0.4:
        return Fraction(rng.choice((0, 1, -1) if zero else (1, -1)))
    value = Fraction(
        rng.randrange(-(10 ** rng.randint(1, digits)), 10 ** rng.randint(1, digits))
    )
    value *= Fraction(10) ** rng.randrange(-digits, digits // 2)
    return value if zero or value else Fraction(1)


def sides(rng: random.Random, digits: int) -> tuple[Side, Side]:
    """None, one, two or equal ones."""
    low, high = sorted((decimal(rng, digits=digits), decimal(rng, digits=digits)))
    kind = rng.randrange(5)
    if kind == 4:
        return low, low
    return (low if kind & 1 else None), (high if kind & 2 else None)


def random_program(rng: random.Random, *, digits: int = 8) -> Program:
    """Draw up to six columns and five rows; `digits` limits digits before and after the point."""
    n = rng.randrange(1, 7)
    bounds: list[tuple[Side, Side]] = []
    for _ in range(n):
        low, high = rng.choice(
            (
                (Fraction(0), None),
                (Fraction(0), Fraction(1)),
                sides(rng, digits),
                sides(rng, digits),
            )
        )
        if low == 0 and high is not None and high < 0:
            low = high - 1  # refused on purpose: readers disagree about such bounds
        bounds.append((low, high))
    rows: list[Row] = []
    for _ in range(rng.randrange(0, 6)):
        columns = [column for column in range(n) if rng.random() < 0.6]
        rows.append(
            (
                {column: decimal(rng, zero=False, digits=digits) for column in columns},
                *sides(rng, digits),
            )
        )
    return Program(
        maximize=rng.random() < 0.5,
        offset=decimal(rng, digits=digits),
        costs=[decimal(rng, digits=digits) for _ in range(n)],
        lower=[low for low, _ in bounds],
        upper=[high for _, high in bounds],
        integer=[rng.random() < 0.5 for _ in range(n)],
        rows=rows,
    )


def spelled(value: Fraction, rng: random.Random, exponents: str = "eE") -> str:
    """One of the ways to write a decimal; without a leading plus."""
    digits, power = value, 0
    while digits.denominator != 1:
        digits, power = digits * 10, power - 1
    sign, mantissa = ("-" if digits < 0 else ""), str(abs(digits.numerator))
    way = rng.randrange(3)
    if way == 0:
        return f"{sign}{mantissa}{rng.choice(exponents)}{power}"
    if way == 1:
        exponent = power + len(mantissa) - 1
        plus = rng.choice(("", "+")) if exponent >= 0 else ""
        return (
            f"{sign}{mantissa[0]}.{mantissa[1:]}{rng.choice(exponents)}{plus}{exponent}"
        )
    if power == 0:
        return sign + mantissa + rng.choice(("", ".", ".0"))
    padded = mantissa.rjust(-power + 1, "0")
    whole = padded[:power]
    before = "" if whole == "0" and rng.random() < 0.5 else whole
    return f"{sign}{before}.{padded[power:]}{rng.choice(('', '0'))}"


def write_mps(program: Program, rng: random.Random, *, fixed: bool = False) -> str:
    """Free or fixed MPS. Fixed names have a space in them."""
    gap = " " if fixed else ""
    columns = [f"x{gap}{column}" for column in range(len(program.costs))]
    names = [f"r{gap}{row}" for row in range(len(program.rows))]
    text = [
        "* a comment",
        "NAME          tiny",
        *(["OBJSENSE", "    MAX"] if program.maximize else []),
        "ROWS",
        " N  cost",
    ]
    rhs, ranges = [("cost", -program.offset)] if program.offset else [], []
    for name, (_, low, high) in zip(names, program.rows, strict=True):
        if low is None and high is None:
            kind, side = "L", Fraction(10) ** 30
        elif low is not None and (
            low == high or (high is not None and rng.random() < 0.3)
        ):
            assert high is not None
            kind, side = "E", rng.choice((low, high))
            if low != high:
                ranges.append((name, high - low if side == low else low - high))
        elif high is None or (low is not None and rng.random() < 0.5):
            assert low is not None
            kind, side = "G", low
            if high is not None:
                ranges.append((name, (high - low) * rng.choice((1, -1))))
        else:
            kind, side = "L", high
            if low is not None:
                ranges.append((name, high - low))
        text.append(f" {kind}  {name}")
        if side or rng.random() < 0.3:
            rhs.append((name, side))
    text.append("COLUMNS")
    bounds: list[str] = []

    def line(first: str, pairs: list[tuple[str, Fraction]], kind: str = "  ") -> str:
        out = f" {kind} {first:<10}"
        for name, value in pairs:
            number = spelled(value, rng, "eEdD")
            if fixed and len(number) > 12:
                number = spelled_short(value)
            out += f"{name:<10}{number:<12}   " if fixed else f" {name} {number}"
        return out

    marked = False
    for column, name in enumerate(columns):
        by_marker = program.integer[column] and rng.random() < 0.6
        if by_marker != marked:
            kind = "INTORG" if by_marker else "INTEND"
            text.append(f"    M{column:<9}'MARKER'                 '{kind}'")
            marked = by_marker
        entries = [
            (names[row], terms[column])
            for row, (terms, _, _) in enumerate(program.rows)
            if column in terms
        ]
        entries.append(("cost", program.costs[column]))
        rng.shuffle(entries)
        while entries:
            taken = [entries.pop() for _ in range(min(len(entries), rng.choice((1, 2))))]
            text.append(line(name, taken))
        bounds += _mps_bounds(program, column, name, rng, by_marker=by_marker, line=line)
    if marked:
        text.append("    MEND      'MARKER'                 'INTEND'")
    text += ["RHS", *(line("RHS", [each]) for each in rhs)]
    if ranges:
        text += ["RANGES", *(line("RNG", [each]) for each in ranges)]
    if bounds:
        text += ["BOUNDS", *bounds]
    return "\n".join([*text, "ENDATA", ""])


def spelled_short(value: Fraction) -> str:
    """At most twelve characters, for the field of fixed MPS: programs of three digits fit."""
    digits, power = value, 0
    while digits.denominator != 1:
        digits, power = digits * 10, power - 1
    text = f"{digits.numerator}e{power}"
    if len(text) > 12:
        zeros = len(str(digits.numerator)) - len(str(digits.numerator).rstrip("0"))
        text = f"{digits.numerator // 10**zeros}e{power + zeros}"
    assert len(text) <= 12, text
    return text


def _mps_bounds(
    program: Program,
    column: int,
    name: str,
    rng: random.Random,
    *,
    by_marker: bool,
    line: Callable[..., str],
) -> list[str]:
    low, high = program.lower[column], program.upper[column]
    endless = Fraction(10) ** 30

    def say(kind: str, value: Fraction) -> str:
        return line("BND", [(name, value)], kind)

    def silent(kind: str) -> str:
        return line("BND", [], kind) + name

    if program.integer[column] and (low, high) == (0, 1):
        return [] if by_marker and rng.random() < 0.5 else [silent("BV")]
    # Only LI and UI make it an integer then.
    if program.integer[column] and not by_marker:
        lower = silent("MI") if low is None else say("LI", low)
        return [lower, say("UI", endless if high is None else high)]
    if low == high and low is not None:
        return [say("FX", low)]
    if low is None and high is None:
        return [silent("FR")] if rng.random() < 0.5 else [silent("MI"), silent("PL")]
    out = (
        [silent("MI")]
        if low is None
        else [say("LO", low)]
        if low or rng.random() < 0.5
        else []
    )
    if high is not None:
        return [*out, say("UP", high)]
    return out or ([silent("PL")] if by_marker else [])


def write_lp(program: Program, rng: random.Random) -> str:
    """CPLEX LP. The objective names every column, so that their order is kept."""

    def words(word: str) -> str:
        return rng.choice((word, word.upper(), word.lower()))

    def expression(terms: dict[int, Fraction]) -> str:
        parts = []
        for column, value in terms.items():
            share = decimal(rng) if rng.random() < 0.2 else Fraction(0)
            for each in [value - share, share] if share else [value]:
                sign = "- " if each < 0 else "+ "
                number = (
                    ""
                    if abs(each) == 1 and rng.random() < 0.5
                    else spelled(abs(each), rng)
                )
                parts.append(
                    sign
                    + number
                    + (" " if number or rng.random() < 0.5 else "")
                    + f"x{column}"
                )
        return rng.choice((" ", "\n   ")).join(parts or ["0 x0"])

    def low_high(low: Side, body: str, high: Side) -> list[str]:
        less, more = rng.choice(("<=", "<", "=<")), rng.choice((">=", ">", "=>"))
        if low is not None and high is not None:
            if low == high:
                return [f"{body} = {spelled(low, rng)}"]
            if rng.random() < 0.5:
                return [f"{spelled(low, rng)} {less} {body} {less} {spelled(high, rng)}"]
            return [f"{spelled(high, rng)} {more} {body} {more} {spelled(low, rng)}"]
        if low is not None:
            return [
                rng.choice(
                    (
                        f"{body} {more} {spelled(low, rng)}",
                        f"{spelled(low, rng)} {less} {body}",
                    )
                )
            ]
        if high is not None:
            return [
                rng.choice(
                    (
                        f"{body} {less} {spelled(high, rng)}",
                        f"{spelled(high, rng)} {more} {body}",
                    )
                )
            ]
        return [f"{body} {more} -{rng.choice(('inf', 'Infinity', '1e30'))}"]

    text = [
        "\\ a comment",
        words(
            rng.choice(
                ("maximize", "max", "maximise")
                if program.maximize
                else ("minimize", "min")
            )
        ),
    ]
    constant = (
        f" {'-' if program.offset < 0 else '+'} {spelled(abs(program.offset), rng)}"
        if program.offset
        else ""
    )
    text.append(
        f" {rng.choice(('', 'cost: '))}{expression(dict(enumerate(program.costs)))}{constant}"
    )
    text.append(words(rng.choice(("Subject To", "st", "s.t.", "such that"))))
    for row, (terms, low, high) in enumerate(program.rows):
        text.append(f" r{row}: {low_high(low, expression(terms), high)[0]}")
    text.append(words("Bounds"))
    for column, (low, high) in enumerate(zip(program.lower, program.upper, strict=True)):
        if low is None and high is None:
            text.append(f" x{column} {words('free')}")
        elif low is None:
            text += [
                f" x{column} >= -inf",
                f" x{column} <= {spelled(high or Fraction(0), rng)}",
            ]
        elif (low, high) != (0, None):
            text += [" " + each for each in low_high(low, f"x{column}", high)]
            if high is not None and rng.random() < 0.2:
                text.append(f" x{column} <= {spelled(high, rng)} \\ again")
    whole = [column for column, integer in enumerate(program.integer) if integer]
    binary = [
        column
        for column in whole
        if (program.lower[column], program.upper[column]) == (0, 1)
    ]
    general = [column for column in whole if column not in binary]
    if general:
        text += [
            words(rng.choice(("general", "generals", "gen", "integers"))),
            " ".join(f"x{each}" for each in general),
        ]
    if binary:
        text += [
            words(rng.choice(("binary", "binaries", "bin"))),
            *(f" x{column}" for column in binary),
        ]
    return rng.choice(("\n", "\r\n")).join([*text, words("End"), ""])
