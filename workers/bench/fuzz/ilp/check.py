"""Fuzzer `ilp`: random integer programs at every scale against rational enumeration.

Four cases of ten run as models too large for the exact branch and bound do: the engines' claims
must hold or be withdrawn.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import traceback
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
from workers.bench.fuzz.ilp.enumeration import Truth, solve
from workers.bench.fuzz.ilp.programs import Program, draw, write_mps
from workers.bench.fuzz.types import Fault, Finding, Outcome

SECONDS = 20.0  # of one run; most end within half a second
_SAME = Fraction(2, 10**6)  # relative; the gap of a proof and the tolerance of the check
# Of the sum of the objective's terms, where continuous columns leave a tolerance.
_TERMS = Fraction(1, 10**6)


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Draw a case, solve it both ways, and compare."""
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
    except Exception as error:  # any other exception is a finding
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
    return Outcome(
        label=label, finding=Finding(fault=fault[0], detail=fault[1], case=case)
    )


def run(text: str, engine: Engine) -> RunResult:
    """Run one job through the pipeline."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder) / "model.mps"
        file.write_text(text)
        workdir = Path(folder) / "work"
        workdir.mkdir()
        spec = IlpSpec(
            model=ArtifactRef(digest="sha256:" + "0" * 64, name="model.mps"),
            engine=engine,
        )
        stop = from_budget({"seconds": SECONDS}, threading.Event())
        return pipeline.run(
            build(), spec, inputs={"model": file}, workdir=workdir, stop=stop, seed=0
        ).result


def compare(
    program: Program, truth: Truth, result: RunResult, *, large: bool
) -> tuple[Fault, str] | None:
    """Return the disagreement between right and reported answer; None when they agree.

    A small model must have an answer; a `large` one may end without, when no engine's solution
    passes the check.
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
        if truth.kind != "optimal" or large:
            return None
        detail = f"{reason.value}, {truth.value} is right: {result.termination.detail}"
        return Fault.LOST, detail
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
            f"{objective!r} is reported as valid, but the optimum is {float(value)!r}",
        )
    if (
        result.termination.reason is Reason.OPTIMAL
        and sign * Fraction(objective) > sign * value + allowed
    ):
        return (
            Fault.WRONG,
            f"{objective!r} is reported as optimal, but {float(value)!r} is better",
        )
    if (
        result.bound is not None
        and sign * Fraction(result.bound) > sign * value + allowed
    ):
        return Fault.WRONG, f"the bound {result.bound!r} excludes {float(value)!r}"
    return None


def _size(program: Program) -> Fraction:
    """Return the greatest possible sum of the absolute terms of the objective."""
    return sum(
        (
            abs(c.cost) * max(abs(c.lower or Fraction(0)), abs(c.upper or Fraction(0)))
            for c in program.columns
        ),
        Fraction(0),
    )
