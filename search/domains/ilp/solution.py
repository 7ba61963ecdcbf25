"""A reported solution as bytes and back."""

from __future__ import annotations

import numpy as np

from search.domains.ilp.parse import IlpProblem
from solvers.types import Floats


def to_bytes(x: Floats) -> bytes:
    """Serialise the values (n,) of the minimised model's columns, as little-endian doubles."""
    return x.astype("<f8").tobytes()


def from_bytes(problem: IlpProblem, data: bytes) -> Floats:
    """Parse values (n,) of this problem's columns. Raises ValueError."""
    x = np.frombuffer(data, dtype="<f8").astype(np.float64)
    if len(x) != problem.model.n or not np.isfinite(x).all():
        raise ValueError(
            f"solution: expected {problem.model.n} finite numbers, got {len(data)} bytes"
        )
    return x
