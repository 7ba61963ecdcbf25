"""Coupling: integer variables that equality rows keep from moving alone.

Where Σ x = 1 over many binaries, a freed column at 0 stays there unless the column at 1 is free as
well; and in u_t − u_{t−1} = v_t − w_t no variable moves while the other three are fixed. A
neighbourhood is therefore completed once: by the column at 1 of each assignment row that it
touches, and by the other columns of its short equality rows. Completing it until nothing changes
would run along the whole horizon of a plan. On six families of planning problems, half of an
expert's columns and a random rest gained nothing where rows say "exactly one"
(deploy/docs/design/ilp.md, "Mixed models").
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from solvers.types import Bools, Floats, MilpModel

_SHORT = 4  # columns of a row whose columns move together


class Coupling:
    """The equality rows of a model that couple its integer variables."""

    def __init__(self, model: MilpModel, by_row: sparse.csr_matrix) -> None:
        self._integer = model.integrality
        lengths = np.diff(model.indptr)
        rows = model.row_of_entry
        integers = np.bincount(
            rows, weights=model.integrality[model.indices], minlength=model.m
        )
        equal = (
            (model.row_lower == model.row_upper) & (lengths > 1) & (integers == lengths)
        )
        short = equal & (lengths <= _SHORT)
        assignments = equal & ~short & _ones_over_binaries(model, lengths)
        assignments &= _disjoint(model, assignments)
        self._short = _pattern(by_row, short)
        self._assignments = _pattern(by_row, assignments)

    def completed(self, x: Floats, free: Bools) -> Bools:
        """Return `free` with the variables that must be free for its own to move. Shapes: (n,)."""
        whole = free
        for rows, joins in (
            (self._short, self._integer),
            (self._assignments, self._integer & (x > 0.5)),
        ):
            if rows.shape[0]:
                touched = rows @ (free & self._integer).astype(np.float32) > 0
                members = rows.T @ touched.astype(np.float32) > 0
                whole = whole | (members & joins)
        return whole


def _ones_over_binaries(model: MilpModel, lengths: np.ndarray) -> np.ndarray:
    binary = model.integrality & (model.col_lower == 0) & (model.col_upper == 1)
    fits = (model.data == 1) & binary[model.indices]
    counted = np.bincount(model.row_of_entry, weights=fits, minlength=model.m)
    ones: np.ndarray = (counted == lengths) & (model.row_upper == 1)
    return ones


def _disjoint(model: MilpModel, assignments: np.ndarray) -> np.ndarray:
    """Return (m,) the rows whose columns are in one assignment row at most.

    In a set partitioning a column is in many, and no single exchange keeps them all.
    """
    of_entry = assignments[model.row_of_entry]
    times = np.bincount(model.indices[of_entry], minlength=model.n)
    shared = np.bincount(
        model.row_of_entry, weights=times[model.indices] > 1, minlength=model.m
    )
    disjoint: np.ndarray = shared == 0
    return disjoint


def _pattern(by_row: sparse.csr_matrix, rows: np.ndarray) -> sparse.csr_matrix:
    part = by_row[np.flatnonzero(rows)].astype(np.float32)
    part.data[:] = 1.0
    return part
