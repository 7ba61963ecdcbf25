"""Relations of an integer program: entries by sign and direction, variables that share rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gnn.ranges.relations import Builder, Range, Relations

MOST_IN_ROW = (
    100  # longer rows make no pairs: their clique would have more edges than the matrix
)


def integer_program_relations(
    matrix: sparse.csr_matrix, objective: NDArray[np.float64], *, most: int = 8
) -> Relations:
    """Return the relations of rows and variables; variables come first, then rows.

    Short: the entries of the matrix, by sign and direction (four relations). Medium: each variable
    hears the `most` variables that it shares the most rows with; ties by the lower number. Rows
    with more than 100 entries make no pairs. Long: a virtual node for the objective, whose members
    are the variables with a cost, and one for all rows and variables.

    Args:
        matrix: (rows, variables).
        objective: costs, (variables,).
    """
    rows, variables = matrix.shape
    if objective.shape != (variables,):
        raise ValueError(
            f"objective: expected {variables} costs, got shape {objective.shape}"
        )
    entries = matrix.tocoo()
    entries.eliminate_zeros()
    builder = Builder(variables + rows)
    row, column = entries.row + variables, entries.col
    for sign, mine in (("positive", entries.data > 0), ("negative", entries.data < 0)):
        builder.add_both(f"{sign} entry", Range.SHORT, column[mine], row[mine])
    builder.add("shared rows", Range.MEDIUM, *shared_rows(matrix, most))
    costly = np.full(variables + rows, -1)
    costly[:variables][objective != 0] = 0
    builder.add_virtual("objective", costly)
    builder.add_virtual("model", np.zeros(variables + rows))
    return builder.build()


def shared_rows(matrix: sparse.csr_matrix, most: int) -> NDArray[np.int64]:
    """Return edges (2, e) to each variable from the variables it shares the most rows with."""
    pattern = sparse.csr_matrix(matrix, copy=True)
    pattern.eliminate_zeros()
    pattern.data = np.ones_like(pattern.data, dtype=float)
    short = pattern[np.diff(pattern.indptr) <= MOST_IN_ROW]
    shared = sparse.csr_matrix(short.T @ short)
    shared.setdiag(0)
    shared.eliminate_zeros()
    shared.sort_indices()
    senders, receivers = [], []
    for variable in range(matrix.shape[1]):
        part = slice(shared.indptr[variable], shared.indptr[variable + 1])
        others, count = shared.indices[part], shared.data[part]
        chosen = np.argsort(-count, kind="stable")[:most]
        senders.append(others[chosen])
        receivers.append(np.full(len(chosen), variable))
    if not senders:
        return np.zeros((2, 0), np.int64)
    return np.stack([np.concatenate(senders), np.concatenate(receivers)]).astype(np.int64)
