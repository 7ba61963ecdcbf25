"""Random model objects: what we carry over has the optimum that the object's own package finds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyscipopt
import pytest
from ortools.sat.python import cp_model

from tests.cases.ilp.objects import solve


def random_scip(rng: random.Random) -> Any:
    model = pyscipopt.Model()
    model.hideOutput()
    bs = [model.addVar(rng.choice(("", "b", f"b {i}")), vtype="B") for i in range(4)]
    xs = [
        model.addVar(
            f"x[{i}]",
            vtype=rng.choice("IC"),
            lb=rng.choice((0, 1, -2)),
            ub=rng.randint(2, 6),
        )
        for i in range(3)
    ]
    for number in range(rng.randint(2, 5)):
        name = rng.choice(("", f"row {number}", "same"))
        kind = rng.choice(
            (
                "linear",
                "range",
                "xor",
                "or",
                "and",
                "SOS1",
                "SOS2",
                "on",
                "off",
                "few",
                "square",
                "some",
                "sack",
            )
        )
        if kind == "linear":
            model.addCons(
                sum(rng.randint(-3, 3) * v for v in (*bs, *xs)) + 0 * bs[0]
                <= rng.randint(0, 6),
                name=name,
            )
        elif kind == "range":
            model.addCons((sum(xs) + bs[0] <= 9) >= rng.randint(-2, 2), name=name)
        elif kind == "xor":
            model.addConsXor(
                rng.sample(bs, rng.randint(2, 4)), rng.random() < 0.5, name=name
            )
        elif kind in ("or", "and"):
            add = model.addConsOr if kind == "or" else model.addConsAnd
            *members, result = rng.sample(bs, rng.randint(3, 4))
            add(members, result, name=name)
        elif kind in ("SOS1", "SOS2"):
            add = model.addConsSOS1 if kind == "SOS1" else model.addConsSOS2
            add(rng.sample([*xs, *bs], 3), [1, 2, 3], name=name)
        elif kind in ("on", "off"):
            # pyscipopt names a binary's negation after it: the indicator's name must be unique
            flag = model.addVar(f"flag{number}", vtype="B")
            model.addConsIndicator(
                xs[0] + xs[1] <= rng.randint(0, 4),
                flag,
                activeone=kind == "on",
                name=name,
            )
            model.addCons(flag >= bs[1] if kind == "on" else flag <= bs[1])
        elif kind == "few":
            model.addConsCardinality(xs, rng.randint(1, 2), name=name)
        elif kind == "square":
            model.addCons(xs[0] * xs[0] + xs[1] * xs[2] <= rng.randint(4, 20), name=name)
        elif kind == "some":
            model.addConsLogicor(rng.sample(bs, 2), name=name)
        else:
            model.addConsKnapsack(bs, [1, 2, 3, 4], rng.randint(3, 8), name=name)
    model.setObjective(
        sum(rng.randint(-4, 4) * v for v in (*bs, *xs)) + 0 * bs[0],
        rng.choice(("minimize", "maximize")),
    )
    model.addObjoffset(rng.choice((0, 2.5)))
    return model


def test_pyscipopt(tmp_path: Path, scale: float) -> None:
    outcomes = set()
    for seed in range(max(12, int(500 * scale))):
        model = random_scip(random.Random(seed))
        solved = solve(model, tmp_path)
        model.optimize()
        outcomes.add(model.getStatus())
        if model.getStatus() == "infeasible":
            assert solved.reason == "infeasible", seed
        else:
            assert model.getStatus() == "optimal", seed
            assert solved.objective == pytest.approx(model.getObjVal(), abs=1e-4), seed
    assert "optimal" in outcomes


def random_cp(rng: random.Random) -> Any:
    model = cp_model.CpModel()
    xs = [model.new_int_var(rng.randint(-3, 1), rng.randint(1, 5), "x") for _ in range(3)]
    xs.append(
        model.new_int_var_from_domain(
            cp_model.Domain.from_intervals([[-2, -1], [2, 3], [5, 5]]), "holes"
        )
    )
    bs = [model.new_bool_var(f"b{i}") for i in range(3)]

    def literal() -> Any:
        chosen = rng.choice(bs)
        return chosen if rng.random() < 0.6 else ~chosen

    for _ in range(rng.randint(1, 3)):
        a, b, c = (rng.choice(xs) for _ in range(3))
        add = rng.choice(
            (
                lambda a=a, b=b, c=c: model.add(2 * a - 3 * b + c <= rng.randint(-3, 6)),
                lambda a=a, b=b: model.add(
                    2 * a - 3 * b == rng.randint(-3, 6)
                ).only_enforce_if([literal(), literal()]),
                lambda a=a, b=b: model.add_linear_expression_in_domain(
                    a + b, cp_model.Domain.from_values([-3, 0, 2, 3, 7])
                ).only_enforce_if(literal()),
                lambda a=a, b=b: model.add(a != b + 1),
                lambda: model.add_bool_or([literal(), literal()]),
                lambda: model.add_bool_and([literal(), literal()]).only_enforce_if(
                    literal()
                ),
                lambda: model.add_at_most_one([bs[0], ~bs[1], bs[2]]),
                lambda: model.add_exactly_one(bs),
                lambda: model.add_bool_xor([literal(), literal(), literal()]),
                lambda: model.add_implication(literal(), literal()),
                lambda a=a, b=b, c=c: model.add_max_equality(a, [b, c, 2 * b - 1]),
                lambda a=a, b=b, c=c: model.add_min_equality(a, [b, c]),
                lambda a=a, b=b: model.add_abs_equality(a, b),
                lambda a=a, b=b: model.add_multiplication_equality(a, [bs[0], b]),
                lambda a=a, b=b, c=c: model.add_multiplication_equality(a, [b, c]),
                lambda a=a, b=b: model.add_division_equality(a, b + 4, 2),
                lambda a=a, b=b: model.add_modulo_equality(a, b + 4, 3),
                lambda a=a, b=b, c=c: model.add_element(a, [1, b, c, -2], xs[0]),
                lambda a=a, b=b: model.add_allowed_assignments(
                    [a, b], [(0, 1), (1, 1), (2, -1), (-1, 3)]
                ),
                lambda: model.add_all_different([xs[0], xs[1] + 1, xs[2]]),
            )
        )
        add()
    total = sum(rng.randint(-4, 4) * v for v in (*xs, *bs)) + rng.randint(-2, 2)
    rng.choice((model.minimize, model.maximize))(total)
    return model


def test_cp_sat(tmp_path: Path, scale: float) -> None:
    for seed in range(max(12, int(500 * scale))):
        model = random_cp(random.Random(seed))
        solved = solve(model, tmp_path)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        status = solver.solve(model)
        if status == cp_model.INFEASIBLE:
            assert solved.reason == "infeasible", seed
        else:
            assert status == cp_model.OPTIMAL, seed
            assert solved.objective == pytest.approx(solver.objective_value), seed
