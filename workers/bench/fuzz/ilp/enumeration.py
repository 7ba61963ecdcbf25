"""The right answer of a small program: integer points enumerated, continuous by vertices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from workers.bench.fuzz.ilp.programs import Column, Program, Row, Side

Point = tuple[Fraction, ...]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The right answer: kind "optimal" with its value, "infeasible" or "unbounded"."""

    kind: str
    value: Fraction | None = None


def solve(program: Program) -> Truth:
    """Solve by enumerating integer points and vertices."""
    bounded = [column for column in program.columns if column.upper is not None]
    rows = [row for row in program.rows if all(j < len(bounded) for j in row.terms)]
    best: Fraction | None = None
    sign = -1 if program.maximize else 1
    for fixed in _integer_points(bounded):
        for value in _continuous_values(bounded, rows, fixed):
            if best is None or sign * value < sign * best:
                best = value
    if best is None:
        return Truth(kind="infeasible")
    return Truth(kind="unbounded") if program.ray else Truth(kind="optimal", value=best)


def _integer_points(columns: list[Column]) -> Iterator[dict[int, Fraction]]:
    whole = [j for j, column in enumerate(columns) if column.kind == "integer"]
    ranges = [
        range(int(columns[j].lower or 0), int(columns[j].upper or 0) + 1) for j in whole
    ]
    for values in itertools.product(*ranges):
        yield dict(zip(whole, map(Fraction, values), strict=True))


def _continuous_values(
    columns: list[Column], rows: list[Row], fixed: dict[int, Fraction]
) -> Iterator[Fraction]:
    """Yield the objective values at the vertices that remain with the integers fixed."""
    free = [j for j in range(len(columns)) if j not in fixed]
    boxes = []
    for j in free:
        column = columns[j]
        assert column.lower is not None
        assert column.upper is not None
        boxes.append(
            [(column.lower, column.upper)]
            + ([(Fraction(0), Fraction(0))] if column.kind == "semi" else [])
        )
    base = sum((columns[j].cost * v for j, v in fixed.items()), Fraction(0))
    for box in itertools.product(*boxes):
        planes: list[tuple[list[Fraction], Side, Side]] = []
        feasible = True
        for row in rows:
            rest = sum(
                (a * fixed[j] for j, a in row.terms.items() if j in fixed), Fraction(0)
            )
            lower, upper = _minus(row.lower, rest), _minus(row.upper, rest)
            coefficients = [row.terms.get(j, Fraction(0)) for j in free]
            if any(coefficients):
                planes.append((coefficients, lower, upper))
            elif (lower is not None and lower > 0) or (upper is not None and upper < 0):
                feasible = False
                break
        if not feasible:
            continue
        for axis, (lower, upper) in enumerate(box):
            planes.append(
                ([Fraction(int(k == axis)) for k in range(len(free))], lower, upper)
            )
        for vertex in _vertices(planes, len(free)):
            yield base + sum(
                (columns[j].cost * v for j, v in zip(free, vertex, strict=True)),
                Fraction(0),
            )


def _minus(side: Side, by: Fraction) -> Side:
    return None if side is None else side - by


def _vertices(
    planes: Sequence[tuple[list[Fraction], Side, Side]], dimension: int
) -> Iterator[Point]:
    if dimension == 0:
        yield ()
        return
    sides = [
        (a, side)
        for a, lower, upper in planes
        for side in {lower, upper}
        if side is not None
    ]
    for chosen in itertools.combinations(sides, dimension):
        if dimension == 1:
            ((a, side),) = chosen
            point: Point | None = (side / a[0],) if a[0] else None
        else:
            (a, s), (b, t) = chosen
            determinant = a[0] * b[1] - a[1] * b[0]
            point = (
                ((s * b[1] - t * a[1]) / determinant, (a[0] * t - b[0] * s) / determinant)
                if determinant
                else None
            )
        if point is not None and all(
            (lower is None or _dot(a, point) >= lower)
            and (upper is None or _dot(a, point) <= upper)
            for a, lower, upper in planes
        ):
            yield point


def _dot(a: Sequence[Fraction], x: Point) -> Fraction:
    return sum((p * q for p, q in zip(a, x, strict=True)), Fraction(0))
