"""Summary of a search, and the reason why requirements are missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.antenna.encode import Estimate
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.search.calibration import Calibration
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.score import Score
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.verify.second_solver import SecondOpinion


def summarise(
    problem: AntennaProblem,
    estimate: Estimate,
    score: Score,
    evaluator: Evaluator,
    opinions: Sequence[SecondOpinion],
    calibrations: Sequence[Calibration],
    surrogate: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the summary of a result."""
    spec = problem.spec
    return {
        "margin_db": score.margin_db,
        "band_margins_db": list(score.band_margins_db),
        "efficiency_margins_db": list(score.efficiency_margins_db),
        "meets_the_bands": score.margin_db >= 0,
        "solves": {**evaluator.solved, "second_solver_in_search": len(opinions)},
        "neighbours": dict(evaluator.neighbours),
        "second_solver_in_search": [opinion.to_json() for opinion in opinions],
        "corrections": [
            {
                "frequency_scale": round(row.scale, 4),
                "inductance_nh": round(1e9 * row.inductance_h, 3),
            }
            for row in calibrations
        ],
        "search": spec.search.value,
        "surrogate": dict(surrogate),
        **estimated(estimate),
    }


def surrogate_of(learned: Learned | None, note: str) -> dict[str, Any]:
    """Return which surrogate was used and how much, or why none was."""
    if learned is None:
        return {"used": False, "model": note}
    return {
        "used": True,
        "model": note,
        "predictions": learned.predicted,
        "active_rounds": learned.rounds,
    }


def estimated(estimate: Estimate) -> dict[str, Any]:
    """Return the a-priori figures of a board."""
    return {
        "cells_per_wavelength": estimate.cells_per_wavelength,
        "grid_in_wavelengths": estimate.electrical_size,
        "height_in_wavelengths": estimate.electrical_height,
        "single_patch_bandwidth": list(estimate.patch_bandwidths),
        "single_patch_efficiency": list(estimate.patch_efficiencies),
        "band_widths": list(estimate.band_widths),
        "warnings": estimate.warnings,
    }


def reason_of(problem: AntennaProblem, estimate: Estimate, score: Score) -> str:
    """Return a sentence on the margin; where it is negative, with the board's limits."""
    margin = score.margin_db
    if margin >= problem.spec.margin_db:
        return f"the margin of {problem.spec.margin_db:g} dB is reached in every band"
    if margin >= 0:
        return (
            f"every band is met with {margin:.2f} dB of the {problem.spec.margin_db:g} dB asked "
            "for; allow more coarse_solves or seconds"
        )
    text = f"the best design misses the requirements by {-margin:.2f} dB"
    if missed := _missed(problem, score):
        text = f"{text} ({missed})"
    warnings = [
        *(estimate.band_warnings if min(score.band_margins_db) < 0 else ()),
        *(
            estimate.loss_warnings
            if min(score.efficiency_margins_db, default=0) < 0
            else ()
        ),
    ]
    if warnings:
        return f"{text}. {'. '.join(warnings)}"
    return f"{text}; allow more coarse_solves or seconds, or a larger grid"


def _missed(problem: AntennaProblem, score: Score) -> str:
    """Return what is missed and by how much; nothing where there is one requirement alone."""
    spec = problem.spec
    names = [f"bands[{i}]" for i in range(len(spec.bands))]
    rows = zip(
        [*names, *(f"avoid[{i}]" for i in range(len(spec.avoid)))],
        score.band_margins_db,
        strict=True,
    )
    missed = [f"{name} by {-margin:.2f} dB" for name, margin in rows if margin < 0]
    missed += [
        f"efficiency in {name} {spec.min_efficiency * 10 ** (margin / 10):.1%}, "
        f"{spec.min_efficiency:.1%} asked for"
        for name, margin in zip(names, score.efficiency_margins_db, strict=False)
        if margin < 0
    ]
    requirements = len(score.band_margins_db) + len(score.efficiency_margins_db)
    return ", ".join(missed) if requirements > 1 else ""
