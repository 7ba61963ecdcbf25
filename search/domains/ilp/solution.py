"""Solution of one run, and its form in a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.types import Floats

Curve = tuple[tuple[float, float | None, float | None], ...]
"""(seconds, incumbent, bound) of each change, in the user's sense."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """One solution of the pool, which the exact check accepted."""

    x: Floats  # (n,) columns of the minimised model
    objective: float  # in the user's sense
    exactly_feasible: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class SolutionPool:
    """Solutions of the pool, the best first."""

    solutions: tuple[Pooled, ...]
    distance: int  # integer columns in which any two differ, at least
    proved: int  # of the first ones, each proved the best apart from those before it
    complete: bool  # proved: there is no further solution within the limits of the pool
    note: str = ""  # why it is neither full nor complete


@dataclass(frozen=True, kw_only=True, eq=False)
class IlpSolution:
    """Solution that the search claims."""

    x: Floats  # (n,) columns of the minimised model
    objective: float  # in the user's sense
    curve: Curve = ()
    optimal: bool = False  # proved by the search
    pool: SolutionPool | None = None  # where the user asked for one


def differing(x: Floats, y: Floats, integer: np.ndarray) -> int:
    """Return the number of integer columns in which two points (n,) differ."""
    return int(np.count_nonzero(np.rint(x[integer]) != np.rint(y[integer])))


def to_bytes(x: Floats) -> bytes:
    """Serialise the values (n,) of the minimised model's columns, as little-endian doubles."""
    return x.astype("<f8").tobytes()


def from_bytes(data: bytes, *, n: int) -> Floats:
    """Parse values (n,). Raises ValueError unless these are `n` finite numbers."""
    x = np.frombuffer(data, dtype="<f8").astype(np.float64)
    if len(x) != n or not np.isfinite(x).all():
        raise ValueError(f"solution: expected {n} finite numbers, got {len(data)} bytes")
    return x
