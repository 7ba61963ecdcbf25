"""Refusal of wrong claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.antenna.design import AntennaSolution, Design
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.verify.verification import verify_design
from tests.search.domains.antenna.jobs import PATCH, design, problem
from trimtab.results import Verification, VerificationStatus


def verify(folder: Path, made: Design, objective: float) -> Verification:
    solution = AntennaSolution(design=made, objective_db=objective)
    return verify_design(
        problem(folder, margin_db=10.0), solution, left_s=60.0, stopped=lambda: False
    ).verification


def test_a_wrong_margin_is_refused_and_the_right_one_accepted(tmp_path: Path) -> None:
    wrong = verify(tmp_path, PATCH, 3.0)
    assert wrong.status is VerificationStatus.INVALID
    assert "expected 3.000 dB as claimed" in wrong.detail
    assert wrong.objective is not None
    right = verify(tmp_path, PATCH, wrong.objective)
    assert right.status is VerificationStatus.VALID
    assert right.max_violation == pytest.approx(-wrong.objective, abs=1e-6)


def test_a_match_from_loss_says_how_little_is_radiated(tmp_path: Path) -> None:
    """On FR-4 of a fifth of a millimetre a patch is matched, and heats its board."""
    lossy = {"eps_r": 4.4, "tan_d": 0.02, "height_mm": 0.2, "size_mm": 30.0}
    made = problem(tmp_path, board=lossy, margin_db=10.0)
    objective = Evaluator(made).score(PATCH, "fine").margin_db
    solution = AntennaSolution(design=PATCH, objective_db=objective)
    accepted = verify_design(made, solution, left_s=60.0, stopped=lambda: False)
    assert "radiates only" in accepted.verification.detail


def test_illegal_metal_is_refused(tmp_path: Path) -> None:
    corner = design("...... .##... .##... ...##. ...##. ......", (1, 1))
    refused = verify(tmp_path, corner, 0.0)
    assert refused.status is VerificationStatus.INVALID
    assert "corner" in refused.detail
