"""Small random integer programs in rational arithmetic, at every scale, and their MPS text.

A model is drawn with small whole numbers: integer, binary, continuous and semi-continuous
columns; rows <=, >=, =, ranges and free ones. Then the objective, rows and continuous columns are
multiplied by powers of ten between 1e-12 and 1e+12, and some coefficients of integer columns by
powers of their own. Unbounded models get a ray, so that the right answer is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

_MOST_POINTS = 400
_POWERS = 12

Side = Fraction | None


@dataclass(kw_only=True)
class Column:
    """A column: bounds and kind, "integer", "continuous" or "semi" (0, or within the bounds)."""

    kind: str
    lower: Side
    upper: Side
    cost: Fraction = Fraction(0)


@dataclass(kw_only=True)
class Row:
    """A row: lower <= terms <= upper."""

    terms: dict[int, Fraction]
    lower: Side
    upper: Side


@dataclass(kw_only=True)
class Program:
    """A model in rational numbers."""

    maximize: bool
    columns: list[Column]
    rows: list[Row]
    # Whether two columns added by _add_ray make the objective unbounded.
    ray: bool = False
    tags: list[str] = field(default_factory=list)


def draw(rng: np.random.Generator) -> Program:
    """Draw a model of small whole numbers, then scale it."""
    program = _small(rng)
    _scale(program, rng)
    return program


def _small(rng: np.random.Generator) -> Program:
    columns: list[Column] = []
    points, continuous = 1, 0
    for _ in range(int(rng.integers(1, 7))):
        kind = str(
            rng.choice(
                ["integer", "binary", "continuous", "semi"], p=[0.45, 0.25, 0.2, 0.1]
            )
        )
        if kind in ("continuous", "semi"):
            if continuous == 2:
                continue
            continuous += 1
            lower = int(
                rng.integers(-3, 3) if kind == "continuous" else rng.integers(1, 4)
            )
            columns.append(
                Column(
                    kind=kind,
                    lower=Fraction(lower),
                    upper=Fraction(lower + int(rng.integers(1, 9))),
                )
            )
            continue
        lower, width = (
            (0, 1)
            if kind == "binary"
            else (int(rng.integers(-2, 2)), int(rng.integers(0, 6)))
        )
        if points * (width + 1) > _MOST_POINTS // (4 if continuous == 2 else 1):
            continue
        points *= width + 1
        columns.append(
            Column(kind="integer", lower=Fraction(lower), upper=Fraction(lower + width))
        )
    if not columns:
        columns.append(Column(kind="integer", lower=Fraction(0), upper=Fraction(3)))
    for column in columns:
        column.cost = Fraction(int(rng.integers(-9, 10)))
    return Program(
        maximize=bool(rng.random() < 0.5), columns=columns, rows=_rows(columns, rng)
    )


def _rows(columns: list[Column], rng: np.random.Generator) -> list[Row]:
    rows = []
    for _ in range(int(rng.integers(0, 6))):
        terms = {
            j: Fraction(int(v))
            for j in range(len(columns))
            if (v := rng.integers(-9, 10)) and rng.random() < 0.7
        }
        if not terms:
            continue
        # A side near an activity that the columns can have: about two models of three are feasible.
        at = sum((a * _inside(columns[j], rng) for j, a in terms.items()), Fraction(0))
        slack = Fraction(int(rng.integers(-2, 6)))
        match str(
            rng.choice(
                ["<=", ">=", "=", "range", "free"], p=[0.35, 0.3, 0.12, 0.15, 0.08]
            )
        ):
            case "<=":
                rows.append(Row(terms=terms, lower=None, upper=at + slack))
            case ">=":
                rows.append(Row(terms=terms, lower=at - slack, upper=None))
            case "=":
                rows.append(Row(terms=terms, lower=at, upper=at))
            case "range":
                rows.append(
                    Row(terms=terms, lower=at - abs(slack) - 1, upper=at + abs(slack))
                )
            case _:
                rows.append(Row(terms=terms, lower=None, upper=None))
    return rows


def _inside(column: Column, rng: np.random.Generator) -> Fraction:
    lower, upper = int(column.lower or 0), int(column.upper or 0)
    return Fraction(int(rng.integers(lower, upper + 1)))


def _scale(program: Program, rng: np.random.Generator) -> None:
    def power() -> Fraction:
        return Fraction(10) ** int(rng.integers(-_POWERS, _POWERS + 1))

    if rng.random() < 0.5:
        factor = power()
        program.tags.append(f"objective {float(factor):.0e}")
        for column in program.columns:
            column.cost *= factor
    for row in program.rows:
        if rng.random() < 0.4:
            factor = power()
            program.tags.append(f"row {float(factor):.0e}")
            row.terms = {j: a * factor for j, a in row.terms.items()}
            row.lower = None if row.lower is None else row.lower * factor
            row.upper = None if row.upper is None else row.upper * factor
    for j, column in enumerate(program.columns):
        if column.kind != "integer" and rng.random() < 0.4:
            factor = power()
            program.tags.append(f"column {float(factor):.0e}")
            column.lower, column.upper = (
                _times(column.lower, factor),
                _times(column.upper, factor),
            )
            column.cost /= factor
            for row in program.rows:
                if j in row.terms:
                    row.terms[j] /= factor
    if rng.random() < 0.25:
        _spread(program, rng)
    if rng.random() < 0.08:
        _add_ray(program, rng)


def _times(side: Side, factor: Fraction) -> Side:
    return None if side is None else side * factor


def _spread(program: Program, rng: np.random.Generator) -> None:
    """Multiply single coefficients by powers of ten, which no row or column scaling undoes."""
    program.tags.append("spread")
    for row in program.rows:
        for j in row.terms:
            if rng.random() < 0.3:
                row.terms[j] *= Fraction(10) ** int(rng.integers(-10, 3))
    for column in program.columns:
        if rng.random() < 0.2:
            column.cost *= Fraction(10) ** int(rng.integers(-8, 3))


def _add_ray(program: Program, rng: np.random.Generator) -> None:
    """Add two unbounded columns x = y + 1 whose sum improves the objective."""
    program.tags.append("ray")
    program.ray = True
    first = len(program.columns)
    kind = "integer" if rng.random() < 0.7 else "continuous"
    cost = Fraction(1 if program.maximize else -1) * Fraction(10) ** int(
        rng.integers(-6, 7)
    )
    program.columns += [
        Column(kind=kind, lower=Fraction(0), upper=None, cost=cost) for _ in range(2)
    ]
    factor = Fraction(10) ** int(rng.integers(-6, 7))
    program.rows.append(
        Row(terms={first: factor, first + 1: -factor}, lower=factor, upper=factor)
    )


def write_mps(program: Program) -> str:
    """Return the program as free MPS; every number is an exact decimal."""
    lines = [
        "NAME fuzz",
        *(["OBJSENSE", "    MAX"] if program.maximize else []),
        "ROWS",
        " N obj",
    ]
    kinds = []
    for i, row in enumerate(program.rows):
        kind = _row_kind(row)
        kinds.append(kind)
        lines.append(f" {kind} r{i}")
    lines.append("COLUMNS")
    for j, column in enumerate(program.columns):
        if column.kind == "integer":
            lines.append("    M 'MARKER' 'INTORG'")
        entries = [
            ("obj", column.cost),
            *(
                (f"r{i}", row.terms[j])
                for i, row in enumerate(program.rows)
                if j in row.terms
            ),
        ]
        entries = [(name, value) for name, value in entries if value] or [
            ("obj", Fraction(0))
        ]
        lines += [f"    x{j} {name} {_decimal(value)}" for name, value in entries]
        if column.kind == "integer":
            lines.append("    M 'MARKER' 'INTEND'")
    lines.append("RHS")
    for i, (row, kind) in enumerate(zip(program.rows, kinds, strict=True)):
        side = row.upper if kind == "L" else row.lower
        if side:
            lines.append(f"    rhs r{i} {_decimal(side)}")
    ranges = [
        f"    rng r{i} {_decimal(row.upper - row.lower)}"
        for i, (row, kind) in enumerate(zip(program.rows, kinds, strict=True))
        if kind == "G" and row.upper is not None and row.lower is not None
    ]
    lines += ["RANGES", *ranges] if ranges else []
    lines.append("BOUNDS")
    for j, column in enumerate(program.columns):
        lines.append(f" LO bnd x{j} {_decimal(column.lower or Fraction(0))}")
        if column.upper is None:
            lines.append(f" PL bnd x{j}")
        else:
            lines.append(
                f" {'SC' if column.kind == 'semi' else 'UP'} bnd x{j} {_decimal(column.upper)}"
            )
    return "\n".join([*lines, "ENDATA", ""])


def _row_kind(row: Row) -> str:
    """Return the row's letter in the section ROWS; a range is a G row."""
    if row.lower is None:
        return "N" if row.upper is None else "L"
    return "E" if row.lower == row.upper else "G"


def _decimal(value: Fraction) -> str:
    """Return an exact decimal with an exponent; the denominator must divide a power of ten."""
    places = 0
    while (10**places) % value.denominator:
        places += 1
    digits = value.numerator * (10**places // value.denominator)
    return f"{digits}e{-places}" if places else str(digits)
