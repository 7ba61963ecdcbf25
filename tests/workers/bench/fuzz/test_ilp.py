"""The fuzzer of integer programs at a small number of cases, and with a planted fault."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from search.domains.ilp import encode
from solvers.scaling import ScaledModel
from solvers.types import MilpModel
from workers.bench.fuzz.cli import run_case
from workers.bench.fuzz.ilp import check
from workers.bench.fuzz.ilp.enumeration import Truth, solve
from workers.bench.fuzz.ilp.programs import Column, Program, Row
from workers.bench.fuzz.types import Fault


def test_cases_of_every_scale(scale: float) -> None:
    labels = set()
    for index in range(max(12, int(500 * scale))):
        outcome = run_case("ilp", 20261129, index)
        assert outcome.finding is None, outcome.finding
        labels.add(outcome.label)
    assert len(labels) >= 3, "optimal, infeasible and unbounded models are among them"


def test_it_reports_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give an engine another model, without a proof to correct it."""

    def other(model: MilpModel) -> ScaledModel:
        turned = replace(model, c=-model.c, offset=-model.offset)
        return ScaledModel(
            original=model, model=turned, columns=np.ones(model.n), doubt=""
        )

    monkeypatch.setattr(encode, "scale", other)
    monkeypatch.setattr(check.settle, "takes_size", lambda model: False)
    faults = {
        finding.fault
        for index in range(6)
        if (finding := run_case("ilp", 3, index).finding) is not None
    }
    assert faults & {Fault.WRONG, Fault.LOST}


def test_the_truth_by_enumeration() -> None:
    column = Column(
        kind="integer", lower=Fraction(0), upper=Fraction(9), cost=Fraction(3)
    )
    free = Column(kind="semi", lower=Fraction(2), upper=Fraction(5), cost=Fraction(1))
    row = Row(terms={0: Fraction(1), 1: Fraction(1)}, lower=Fraction(7, 2), upper=None)
    program = Program(maximize=False, columns=[column, free], rows=[row])
    assert solve(program).value == Fraction(7, 2)
    row.upper = Fraction(15, 4)
    row.terms[1] = Fraction(2)
    assert solve(program) == Truth(kind="infeasible"), (
        "0 and [4, 10] both miss [3.5, 3.75] but for x = 0"
    )
