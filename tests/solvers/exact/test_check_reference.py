"""The check against a plain one in fractions, and solutions that were tampered with."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

from solvers.exact import ExactModel, check, read_exact
from solvers.exact.units import units_of
from tests.solvers.exact.programs import Program, random_program, write_lp, write_mps

MILLIONTH = Fraction(1, 10**6)


def read(tmp_path: Path, text: str, form: str) -> ExactModel:
    path = tmp_path / f"m.{form}"
    path.write_text(text)
    return read_exact(path, format=form)


def outside(
    value: Fraction, low: Fraction | None, high: Fraction | None
) -> tuple[Fraction, Fraction]:
    """(how far outside, the side it is outside of)."""
    if low is not None and value < low:
        return low - value, low
    if high is not None and value > high:
        return value - high, high
    return Fraction(0), Fraction(0)


def plainly(program: Program, values: list[float]) -> dict[str, object]:
    """What the check must say, in the plainest way."""
    exact = [Fraction(value) for value in values]
    x = [
        Fraction(round(value)) if whole else value
        for value, whole in zip(exact, program.integer, strict=True)
    ]
    rounding = max(abs(a - b) for a, b in zip(x, exact, strict=True))
    bounds = [
        outside(*each) for each in zip(x, program.lower, program.upper, strict=True)
    ]
    rows = [
        outside(
            sum((a * x[column] for column, a in terms.items()), Fraction(0)), low, high
        )
        for terms, low, high in program.rows
    ]
    # Whole rows and bounds of integers have no tolerance; all numbers here are near 1 and of at
    # most nine places.
    whole = [
        *program.integer,
        *(
            all(program.integer[column] for column in terms)
            for terms, _, _ in program.rows
        ),
    ]
    tolerable = all(
        v <= (0 if exactly else MILLIONTH * max(Fraction(1), abs(side)))
        for (v, side), exactly in zip(bounds + rows, whole, strict=True)
    )
    row, bound = max((v for v, _ in rows), default=Fraction(0)), max(v for v, _ in bounds)
    return {
        "objective": program.offset
        + sum((c * v for c, v in zip(program.costs, x, strict=True)), Fraction(0)),
        "max_row_violation": row,
        "max_bound_violation": bound,
        "max_integrality": rounding,
        "feasible": tolerable and rounding <= 10 * MILLIONTH,
        "exactly_feasible": row == bound == 0 and rounding <= 10 * MILLIONTH,
        "violated_rows": sum(v > 0 for v, _ in rows),
        "checked_rows": len(rows),
        "checked_columns": len(x),
    }


def value(rng: random.Random, low: Fraction | None, high: Fraction | None) -> float:
    """Near what is allowed, so that both answers come up."""
    base = float(
        rng.choice([side for side in (low, high) if side is not None] or [Fraction(0)])
    )
    return base + rng.choice(
        (0.0, 0.0, 0.0, 1e-9, -1e-9, 3e-6, 1.0, -1.0, 0.3, 1e-5, 1e7)
    )


def test_check_equals_a_plain_reference(tmp_path: Path, scale: float) -> None:
    answers: set[tuple[object, object]] = set()
    for seed in range(max(200, int(5_000 * scale))):
        rng = random.Random(seed)
        program = random_program(rng, digits=rng.choice((2, 8)))
        model = read(
            tmp_path,
            *rng.choice(
                ((write_mps(program, rng), "mps"), (write_lp(program, rng), "lp"))
            ),
        )
        for _ in range(5):
            values = [
                value(rng, *sides)
                for sides in zip(program.lower, program.upper, strict=True)
            ]
            named = {
                f"x{column}": each
                for column, each in enumerate(values)
                if each or rng.random() < 0.5
            }
            result, expected = check(model, named), plainly(program, values)
            units = units_of(model)
            if units.rows or units.columns:
                # Relative to the row's own scale; see test_units.py.
                del expected["feasible"]
            assert {key: getattr(result, key) for key in expected} == expected, (
                f"seed {seed}"
            )
            assert bool(result.detail) != result.feasible
            answers.add((result.feasible, result.exactly_feasible))
    assert answers == {(True, True), (True, False), (False, False)}


def test_each_flipped_value_is_caught(tmp_path: Path) -> None:
    """Every column is in a row without slack, so that no value can be changed unseen."""
    for seed in range(20):
        rng = random.Random(seed)
        n = 30
        point = [rng.randrange(2) for _ in range(n)]
        rows: list[str] = []
        for first in range(n):
            columns = {first, *(rng.randrange(n) for _ in range(4))}
            terms = {column: rng.choice((-3, -1, 1, 2, 7)) for column in sorted(columns)}
            total = sum(a * point[column] for column, a in terms.items())
            body = " + ".join(f"{a} x{column}" for column, a in terms.items())
            # Not above and not below, in rows of their own: each direction must be seen by itself.
            rows += [f" u{first}: {body} <= {total}", f" l{first}: {body} >= {total}"]
        names = " ".join(f"x{column}" for column in range(n))
        text = "\n".join(
            [
                "min",
                " " + names.replace(" ", " + "),
                "st",
                *rows,
                "binary",
                names,
                "end",
                "",
            ]
        )
        model = read(tmp_path, text, "lp")
        solution = {f"x{column}": float(each) for column, each in enumerate(point)}
        assert check(model, solution).exactly_feasible
        for name, each in solution.items():
            for tampered in (1.0 - each, each + 0.4, each + 2e-5, each + 1e9):
                result = check(model, solution | {name: tampered})
                assert not result.feasible, f"{name} = {tampered} was not seen"
                assert result.detail


def test_dropped_and_added_values_are_caught(tmp_path: Path) -> None:
    model = read(
        tmp_path, "min\n x + y\nst\n c: 0.1 x + 0.2 y >= 0.3\n d: x - y <= 0\nend\n", "lp"
    )
    assert check(model, {"x": 1.0, "y": 1.0}).exactly_feasible
    assert check(model, {"y": 1.0}).worst_row == "c"
    assert check(model, {"x": 3.0}).worst_row == "d"
    assert check(model, {"x": 1.0, "y": 1.0 - 1e-12}).feasible
    assert not check(model, {"x": 1.0, "y": 1.0 - 1e-12}).exactly_feasible


def test_tolerance_ends_at_its_limit(tmp_path: Path) -> None:
    model = read(tmp_path, "min\n x\nst\n c: x >= 300\n d: y <= 0.5\nend\n", "lp")
    tiny = Fraction(1, 10**30)
    edge = 300 * MILLIONTH
    assert check(model, [300 - edge, 0]).feasible
    assert not check(model, [300 - edge - tiny, 0]).feasible
    assert check(model, [300, Fraction(1, 2) + MILLIONTH]).feasible
    assert not check(model, [300, Fraction(1, 2) + MILLIONTH + tiny]).feasible
