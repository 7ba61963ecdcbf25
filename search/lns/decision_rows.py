"""Integer variables that a row speaks of, directly or through its continuous variables."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from solvers.types import MilpModel

_FEW = 2  # integer variables of a row that switches its continuous ones
_MOST_NONZEROS = 5_000_000


def decision_rows(model: MilpModel, by_row: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return (m, n) a pattern: integer variables of each row, or of its continuous variables.

    A continuous variable stands for the integer variables of the rows x ≤ M y that switch it: a
    row of flow conservation has none of its own, but speaks of the arcs that its flows need. The
    matrix itself is returned for a model without continuous variables.
    """
    if bool(model.integrality.all()):
        return by_row
    pattern = by_row.astype(np.float32)
    pattern.data = np.ones_like(pattern.data)
    integer = sparse.diags(model.integrality.astype(np.float32))
    own, flows = (
        (pattern @ integer).tocsr(),
        pattern @ (sparse.identity(model.n) - integer),
    )
    own.eliminate_zeros()
    flows = flows.tocsr()
    flows.eliminate_zeros()
    counts, lengths = np.diff(own.indptr), np.diff(flows.indptr)
    switching = np.flatnonzero((counts >= 1) & (counts <= _FEW) & (lengths >= 1))
    switches = (
        flows[switching].T @ own[switching]
    ).tocsr()  # (n, n) continuous → integer
    size = int(np.diff(switches.indptr)[flows.indices].sum())
    if size > _MOST_NONZEROS:
        return own
    return (own + flows @ switches).tocsr().astype(np.float32)
