"""Input of the neighbourhood policy: a program as a bipartite graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True, kw_only=True, eq=False)
class BipartiteGraph:
    """Features of variables, row sides and nonzeros.

    `matrix` holds the pattern, with ones for data; `edges[e]` belongs to its e-th stored entry.
    """

    variables: np.ndarray  # (n, F) float32
    rows: np.ndarray  # (m, R) float32
    edges: np.ndarray  # (nnz, E) float32
    matrix: sparse.csr_matrix  # (m, n)
