"""Fuzzer `ilp`: small random integer programs at every scale, against enumeration in rational arithmetic.

A model is drawn with small whole numbers: integer, binary, continuous and semi-continuous columns; rows <=, >=, =, ranges and
free ones. Then the objective, rows and continuous columns are multiplied by powers of ten between 1e-12 and 1e+12, and some
coefficients of integer columns by powers of their own. Boxed integers are enumerated, and the linear program over at most two
continuous columns is solved by its vertices. Unbounded models are made with a ray that is known.

Four cases of ten run as models too large for the exact branch and bound do: what engines claim has to stand, or be withdrawn.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from search import pipeline
from search.domains.ilp import build
from search.domains.ilp.search import settle
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.results import Reason, RunResult, VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import Engine, IlpSpec
from workers.bench.fuzz.types import Fault, Finding, Outcome

SECONDS = 20.0  # of one run; most end within half a second
_MOST_POINTS = 400
_POWERS = 12
_SAME = Fraction(2, 10**6)  # relative; the gap of a proof and the tolerance of the check
_TERMS = Fraction(
    1, 10**6
)  # of the sum of the objective's terms, where continuous columns leave a tolerance

Side = Fraction | None
Point = tuple[Fraction, ...]


@dataclass(kw_only=True)
class Column:
    """Bounds and kind: "integer", "continuous" or "semi" (0, or within the bounds)."""

    kind: str
    lower: Side
    upper: Side
    cost: Fraction = Fraction(0)


@dataclass(kw_only=True)
class Row:
    """lower <= terms <= upper."""

    terms: dict[int, Fraction]
    lower: Side
    upper: Side


@dataclass(kw_only=True)
class Program:
    """A model in rationals."""

    maximize: bool
    columns: list[Column]
    rows: list[Row]
    ray: bool = (
        False  # a column without an end and without rows makes the objective unbounded
    )
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The right answer: "optimal" with its value, "infeasible" or "unbounded"."""

    kind: str
    value: Fraction | None = None


def draw(rng: np.random.Generator) -> Program:
    """A model of small whole numbers, scaled."""
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
            lower = (
                int(rng.integers(-3, 3))
                if kind == "continuous"
                else int(rng.integers(1, 4))
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
        # A side near an activity that the columns can have, so that about two models of three are feasible.
        at = sum((a * _inside(columns[j], rng) for j, a in terms.items()), Fraction(0))
        slack = Fraction(int(rng.integers(-2, 6)))
        match str(
            rng.choice(["<=", ">=", "=", "range", "free"], p=[0.35, 0.3, 0.12, 0.15, 0.08])
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
    """Coefficients of their own size, which no scaling takes away."""
    program.tags.append("spread")
    for row in program.rows:
        for j in row.terms:
            if rng.random() < 0.3:
                row.terms[j] *= Fraction(10) ** int(rng.integers(-10, 3))
    for column in program.columns:
        if rng.random() < 0.2:
            column.cost *= Fraction(10) ** int(rng.integers(-8, 3))


def _add_ray(program: Program, rng: np.random.Generator) -> None:
    """Two columns x = y + 1 without an end, whose sum the objective wants large."""
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


def solve(program: Program) -> Truth:
    """Enumerate integers and vertices."""
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
    """Objective values at the vertices of what the integers leave."""
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
        for at, (lower, upper) in enumerate(box):
            planes.append(
                ([Fraction(int(k == at)) for k in range(len(free))], lower, upper)
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


def write_mps(program: Program) -> str:
    """Free MPS; every number is an exact decimal."""
    lines = [
        "NAME fuzz",
        *(["OBJSENSE", "    MAX"] if program.maximize else []),
        "ROWS",
        " N obj",
    ]
    kinds = []
    for i, row in enumerate(program.rows):
        kind = (
            "N"
            if row.lower is None and row.upper is None
            else "E"
            if row.lower == row.upper
            else "G"
        )
        kind = "L" if kind == "G" and row.lower is None else kind
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


def _decimal(value: Fraction) -> str:
    """An exact decimal with an exponent; all numbers here have a power of ten as denominator."""
    places = 0
    while (10**places) % value.denominator:
        places += 1
    digits = value.numerator * (10**places // value.denominator)
    return f"{digits}e{-places}" if places else str(digits)


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Draw, solve both ways, compare."""
    program = draw(rng)
    truth = solve(program)
    large = bool(rng.random() < 0.4)
    engine = Engine(str(rng.choice(["highs", "scip", "cp-sat"], p=[0.6, 0.25, 0.15])))
    if engine is Engine.CP_SAT and not all(
        c.kind == "integer" and c.upper is not None for c in program.columns
    ):
        engine = Engine.HIGHS
    text = write_mps(program)
    case: dict[str, Any] = {
        "model": text,
        "engine": engine.value,
        "large": large,
        "tags": program.tags,
        "truth": [truth.kind, None if truth.value is None else str(truth.value)],
    }
    try:
        with (
            mock.patch.object(settle, "takes_size", return_value=False)
            if large
            else contextlib.nullcontext()
        ):
            result = run(text, engine)
    except InvalidInput as error:
        if engine is Engine.CP_SAT and "cannot take this model" in str(error):
            return Outcome(label="cp-sat: refused by the engine")
        return Outcome(
            label="refused",
            finding=Finding(fault=Fault.REFUSED, detail=str(error)[:300], case=case),
        )
    except Exception as error:  # whatever it is, it is a finding
        trace = traceback.format_exc()[-1500:]
        detail = f"{type(error).__name__}: {error}"[:300]
        return Outcome(
            label="crashed",
            finding=Finding(
                fault=Fault.CRASHED, detail=detail, case={**case, "trace": trace}
            ),
        )
    case["result"] = {
        "reason": result.termination.reason.value,
        "detail": result.termination.detail,
        "objective": result.objective,
        "bound": result.bound,
        "verification": result.verification.status.value,
        "notes": result.summary.get("notes"),
    }
    fault = compare(program, truth, result, large=large)
    label = f"{'large ' if large else ''}{truth.kind}: {result.termination.reason.value}"
    if fault is None:
        return Outcome(label=label)
    return Outcome(label=label, finding=Finding(fault=fault[0], detail=fault[1], case=case))


def run(text: str, engine: Engine) -> RunResult:
    """One job through the pipeline."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder) / "model.mps"
        file.write_text(text)
        workdir = Path(folder) / "work"
        workdir.mkdir()
        spec = IlpSpec(
            model=ArtifactRef(digest="sha256:" + "0" * 64, name="model.mps"), engine=engine
        )
        stop = from_budget({"seconds": SECONDS}, threading.Event())
        return pipeline.run(
            build(), spec, inputs={"model": file}, workdir=workdir, stop=stop, seed=0
        ).result


def compare(
    program: Program, truth: Truth, result: RunResult, *, large: bool
) -> tuple[Fault, str] | None:
    """The disagreement between the right answer and the reported one; None when there is none.

    A small model's answer has to be there; for a `large` one it may be that no engine brings a solution that holds.
    """
    reason, objective = result.termination.reason, result.objective
    claims = {
        Reason.INFEASIBLE: "infeasible",
        Reason.UNBOUNDED: "unbounded",
        Reason.OPTIMAL: "optimal",
    }
    if reason in (Reason.VERIFICATION_FAILED, Reason.NUMERICAL_ERROR):
        return Fault.LOST, f"{reason.value}: {result.termination.detail}"[:300]
    if reason in claims and claims[reason] != truth.kind:
        return (
            Fault.WRONG,
            f"{reason.value} ({objective}) is reported, {truth.kind} ({truth.value}) is right",
        )
    if objective is None:
        lost = truth.kind == "optimal" and not large
        return (
            (
                Fault.LOST,
                f"{reason.value}, {truth.value} is right: {result.termination.detail}",
            )
            if lost
            else None
        )
    if result.verification.status is not VerificationStatus.VALID:
        return (
            Fault.WRONG,
            f"a solution is reported whose verification is {result.verification.status.value}",
        )
    if truth.kind == "infeasible":
        return (
            Fault.WRONG,
            f"a solution is reported as {result.verification.status.value}, and none exists",
        )
    if truth.value is None:
        return None
    return _numbers(program, truth.value, result, objective)


def _numbers(
    program: Program, value: Fraction, result: RunResult, objective: float
) -> tuple[Fault, str] | None:
    sign = -1 if program.maximize else 1
    allowed = _SAME * abs(value)
    if any(column.kind != "integer" for column in program.columns):
        allowed += _TERMS * _size(program)
    if sign * Fraction(objective) < sign * value - allowed:
        return (
            Fault.WRONG,
            f"{objective!r} is reported as valid, and {float(value)!r} is the best there is",
        )
    if (
        result.termination.reason is Reason.OPTIMAL
        and sign * Fraction(objective) > sign * value + allowed
    ):
        return (
            Fault.WRONG,
            f"{objective!r} is reported as optimal, and {float(value)!r} is better",
        )
    if result.bound is not None and sign * Fraction(result.bound) > sign * value + allowed:
        return Fault.WRONG, f"the bound {result.bound!r} excludes {float(value)!r}"
    return None


def _size(program: Program) -> Fraction:
    """The sum of the objective's terms at their largest."""
    return sum(
        (
            abs(c.cost) * max(abs(c.lower or Fraction(0)), abs(c.upper or Fraction(0)))
            for c in program.columns
        ),
        Fraction(0),
    )
