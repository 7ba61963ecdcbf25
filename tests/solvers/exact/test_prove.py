"""The exact branch and bound against enumeration, at every scale."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from solvers.exact import ExactModel, check, read_exact
from solvers.exact.prove import Claim, prove
from workers.bench.fuzz.ilp.enumeration import solve
from workers.bench.fuzz.ilp.programs import draw, write_mps

GAP = Fraction(1, 10**7)


def exact(text: str, folder: Path, ending: str) -> ExactModel:
    file = folder / f"model.{ending}"
    file.write_text(text)
    return read_exact(file)


def test_branch_and_bound_equals_enumeration(tmp_path: Path, scale: float) -> None:
    kinds = set()
    for seed in range(max(100, int(2000 * scale))):
        rng = np.random.default_rng([7, seed])
        program = draw(rng)
        truth = solve(program)
        model = exact(write_mps(program), tmp_path, "mps")
        proof = prove(model, incumbent=None, gap=GAP, seconds=20)
        kinds.add(proof.claim)
        assert proof.claim.value == truth.kind, seed
        if proof.x is not None:
            assert check(model, list(proof.x)).exactly_feasible, seed
        if truth.value is None:
            continue
        assert proof.objective is not None
        assert abs(proof.objective - truth.value) <= GAP * max(
            abs(truth.value), abs(proof.objective)
        ) + _least(model), seed
        again = prove(model, incumbent=truth.value, gap=GAP, seconds=20)
        assert (again.claim, again.x) == (Claim.OPTIMAL, None), (
            "nothing beats the optimum"
        )
        assert again.bound is not None
        assert (
            (again.bound >= truth.value)
            if program.maximize
            else (again.bound <= truth.value)
        )
    assert kinds == {Claim.OPTIMAL, Claim.INFEASIBLE, Claim.UNBOUNDED}


def _least(model: ExactModel) -> Fraction:
    return GAP * min(
        (abs(cost) for cost in model.objective.values()), default=Fraction(1)
    )


def test_a_wrong_optimum_is_refuted(tmp_path: Path) -> None:
    model = exact(
        "Maximize\n o: 3 x + 2 y\nSubject To\n c: x + y <= 4\nGeneral\n x y\nEnd\n",
        tmp_path,
        "lp",
    )
    proof = prove(model, incumbent=Fraction(11), gap=GAP, seconds=5)
    assert (proof.claim, proof.objective, proof.bound) == (Claim.OPTIMAL, 12, 12)
    assert proof.x == (4, 0)


def test_it_gives_up_in_time_and_on_unsupported_models(tmp_path: Path) -> None:
    items = " + ".join(f"{97 * j * j % 1009 + 500} x{j}" for j in range(60))
    text = (
        f"Minimize\n o: x0\nSubject To\n c: {items} = 17777\nBinary\n"
        f" {' '.join(f'x{j}' for j in range(60))}\nEnd\n"
    )
    assert (
        prove(exact(text, tmp_path, "lp"), incumbent=None, gap=GAP, seconds=0.0).claim
        is Claim.UNDECIDED
    )
    product = exact(
        "Minimize\n o: x\nSubject To\n q: [ x * y ] >= 1\nBounds\n x <= 3\n y <= 3\nEnd\n",
        tmp_path,
        "lp",
    )
    assert prove(product, incumbent=None, gap=GAP, seconds=5).claim is Claim.UNDECIDED
