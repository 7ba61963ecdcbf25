"""Check of a solution: rules, margins from a fresh fine solve, and openEMS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.domains.antenna.design import AntennaSolution
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.verify.fine import FineSolve, solve_fine
from search.domains.antenna.verify.legality import broken_rules
from search.domains.antenna.verify.second_solver import (
    NOT_CHECKED,
    Opinions,
    SecondOpinion,
)
from search.domains.antenna.verify.verdicts import judge, margins_db
from trimtab.results import Verification, VerificationStatus

_TOLERANCE_DB = 1e-3
_CURVE_POINTS = 101
_INEFFICIENT = 0.5  # below it, the sentence on the result says so
_METHOD = "rules, margins from a fresh fine solve, bands by openEMS (finite differences)"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A verification, and what the check computed for it."""

    verification: Verification
    fine: FineSolve | None = None  # None when a rule is broken
    opinion: SecondOpinion | None = None  # None when the check did not get that far


def verify_design(
    problem: AntennaProblem,
    solution: AntennaSolution,
    *,
    left_s: float,
    stopped: Callable[[], bool],
    opinions: Opinions | None = None,
) -> Checked:
    """Check a solution. Its fine solve and the second solver's opinion also serve the files.

    VALID means that the design obeys the job's rules and has the margin that is claimed, by the
    method of moments. What openEMS says of each band is in `checks.second_solver`.
    """
    design, claimed = solution.design, solution.objective_db
    if broken := broken_rules(problem.spec, design):
        return Checked(verification=_refused(claimed, None, "; ".join(broken)))
    fine = solve_fine(problem, design)
    verdicts = judge(problem.spec, fine.response)
    efficiencies = efficiencies_of(problem, fine)
    margins = margins_db(problem.spec, verdicts)
    in_bands = min(margins)
    if problem.spec.min_efficiency > 0:
        margins += [
            10 * float(np.log10(max(value, 1e-6) / problem.spec.min_efficiency))
            for value in efficiencies
        ]
    objective = min(problem.spec.margin_db, min(margins))
    if abs(objective - claimed) > _TOLERANCE_DB:
        detail = f"margin: expected {claimed:.3f} dB as claimed, got {objective:.3f} dB"
        return Checked(verification=_refused(claimed, objective, detail), fine=fine)
    if problem.spec.verify_runs == 0:
        opinion = SecondOpinion(verdict=NOT_CHECKED, detail="verify_runs is 0")
    else:
        ask = opinions or Opinions()
        opinion = ask(problem, design, left_s=left_s, stopped=stopped)
    checks: dict[str, Any] = {
        "bands": [row.to_json() for row in verdicts],
        "margin_db": round(min(margins), 3),
        "efficiency": [round(value, 4) for value in efficiencies],
        "second_solver": opinion.to_json(),
        "s11": _curve(problem, fine),
    }
    verification = Verification(
        status=VerificationStatus.VALID,
        method=_METHOD,
        claimed_objective=claimed,
        objective=objective,
        max_violation=max(0.0, -min(margins)),
        checks=checks,
        detail=_sentence(min(margins), in_bands, efficiencies, opinion),
    )
    return Checked(verification=verification, fine=fine, opinion=opinion)


def _curve(problem: AntennaProblem, fine: FineSolve) -> dict[str, list[float]]:
    """Return |S11| over the job's frequencies, for pictures: hertz and dB."""
    frequencies = np.linspace(*problem.range_hz, _CURVE_POINTS)
    level = 20 * np.log10(np.maximum(np.abs(fine.response(frequencies)), 1e-6))
    return {
        "f_hz": np.round(frequencies).tolist(),
        "db": np.round(level, 2).tolist(),
    }


def efficiencies_of(problem: AntennaProblem, fine: FineSolve) -> list[float]:
    """Return the radiation efficiency at the centre of each band."""
    return [
        fine.far_field_at((band.f_lo_hz + band.f_hi_hz) / 2).efficiency
        for band in problem.spec.bands
    ]


def _refused(claimed: float, objective: float | None, detail: str) -> Verification:
    return Verification(
        status=VerificationStatus.INVALID,
        method=_METHOD,
        claimed_objective=claimed,
        objective=objective,
        detail=detail,
    )


def _sentence(
    margin_db: float,
    in_bands_db: float,
    efficiencies: list[float],
    opinion: SecondOpinion,
) -> str:
    if margin_db < 0 <= in_bands_db:
        text = f"meets the bands, but misses the efficiency by {-margin_db:.2f} dB"
    else:
        reached = "meets" if margin_db >= 0 else "misses"
        text = f"{reached} the bands by {abs(margin_db):.2f} dB"
    text = f"{text} in the method of moments; "
    text += "".join(
        f"radiates only {value:.0%} of the power that it accepts in bands[{index}]; "
        for index, value in enumerate(efficiencies)
        if value < _INEFFICIENT
    )
    if opinion.verdict == NOT_CHECKED:
        return f"{text}{NOT_CHECKED}: {opinion.detail}"
    bands = ", ".join(
        f"{row.name} {row.verdict.value} ({row.worst_db:.1f} dB"
        + (f", shift {100 * row.shift:+.1f} %" if row.shift else "")
        + ")"
        for row in opinion.bands
    )
    return f"{text}openEMS: {bands}"
