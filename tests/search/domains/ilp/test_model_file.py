"""Model file: every part survives, and no pickle is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.domains.ilp import model_file
from solvers.read import read_model
from tests.search.models import random_cover

QUADRATIC = """Minimize
 o: x + [ 2 x ^ 2 ] / 2
Subject To
 a: x + y >= 3
 b: z = 1 -> x <= 4
Binary
 z
End
"""


def test_a_linear_model_survives(tmp_path: Path) -> None:
    base = random_cover(5, 8, 1)
    model = replace(
        base, name="cover", offset=2.5, col_names=tuple(f"x {j}" for j in range(8))
    )
    path = tmp_path / "model.npz"
    again = model_file.load(path, model_file.save(model, path))
    for name in (
        "c",
        "data",
        "indices",
        "indptr",
        "row_lower",
        "row_upper",
        "integrality",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    assert (again.name, again.offset, again.maximize) == ("cover", 2.5, False)
    assert again.col_names == model.col_names
    assert again.row_names is None


def test_parts_beyond_linear_rows_survive(tmp_path: Path) -> None:
    source = tmp_path / "m.lp"
    source.write_text(QUADRATIC)
    model = read_model(source)
    path = tmp_path / "model.npz"
    again = model_file.load(path, model_file.save(model, path))
    assert model.extras is not None
    assert again.extras is not None
    assert again.extras.as_json() == model.extras.as_json()
    assert again.beyond_linear == model.beyond_linear


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    model, path = random_cover(5, 8, 1), tmp_path / "model.npz"
    scalars = model_file.save(model, path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["c"] = np.array([{}] * 8, dtype=object)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="pickle"):
        model_file.load(path, scalars)


def test_both_files_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    model_file.save(random_cover(5, 8, 1), path)
    for _ in range(2):
        model_file.remove(path)
        assert not list(tmp_path.iterdir())
