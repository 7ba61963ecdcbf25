"""The check's fine solve agrees with a direct solve at the tables' frequencies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from search.domains.antenna.verify.fine import solve_fine
from solvers.field.moments import reflection
from tests.search.domains.antenna.jobs import PATCH, problem


def test_the_rational_model_meets_direct_solves(tmp_path: Path) -> None:
    fine = solve_fine(problem(tmp_path), PATCH)
    index = next(i for i in range(31) if i not in fine.swept.solved)
    direct = reflection(fine.method.input_impedance(index))
    (modelled,) = fine.response(fine.frequencies_hz[index : index + 1])
    assert abs(modelled - direct) < 5e-3
    assert np.abs(fine.swept.s11).max() < 1
    field = fine.far_field_at(6.1e9)
    assert 0.9 < field.efficiency < 1.001
