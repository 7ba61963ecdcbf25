"""Destroy: which integer variables to free. Continuous ones are always free (fixing them makes most sub-MIPs infeasible).

`random`: uniformly. `lb-relax`: LB-RELAX (Huang, Ferber, Tian, Dilkina and Steiner, CPAIOR 2023): the variables in which the
incumbent differs most from the relaxation of the local-branching problem.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from solvers.relaxation import Relaxation
from solvers.types import Bools, Floats, MilpModel, Stop

Ints64 = NDArray[np.int64]


class Neighbourhood(Protocol):
    """A destroy heuristic."""

    name: str

    def choose(self, x: Floats, count: int, rng: np.random.Generator, movable: Bools) -> Bools:
        """(n,) True for the variables to free: all continuous ones and about `count` integer ones out of `movable`."""
        ...


class RandomNeighbourhood:
    """`count` integer variables, each as likely as the others; half the time those that share rows with a random one.

    Variables that meet in rows can trade with one another; uniformly chosen ones often cannot. On sparse models the
    second way finds what the first does not; on dense ones both are alike.
    """

    name = "random"

    def __init__(self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix) -> None:
        self._integers = np.flatnonzero(model.integrality)
        self._continuous = ~model.integrality
        self._rows, self._columns = by_row, by_column
        density = model.nnz / max(1, model.n * model.m)
        self._related_share = 0.5 if density < 0.02 else 0.0

    def choose(self, x: Floats, count: int, rng: np.random.Generator, movable: Bools) -> Bools:
        """Uniform, or grown from a seed along rows."""
        free = self._continuous.copy()
        candidates = self._integers[movable[self._integers]]
        if len(candidates) <= count:
            chosen = candidates
        elif rng.random() < self._related_share:
            chosen = self._grow(count, rng, candidates)
        else:
            chosen = rng.choice(candidates, size=count, replace=False)
        free[chosen] = True
        return free

    def _grow(self, count: int, rng: np.random.Generator, candidates: Ints64) -> Ints64:
        allowed = np.zeros(len(self._continuous), dtype=bool)
        allowed[candidates] = True
        taken = np.zeros_like(allowed)
        rows_seen = np.zeros(self._rows.shape[0], dtype=bool)
        frontier = rng.choice(candidates, size=1)
        taken[frontier] = True
        room = count - 1
        while room > 0:
            rows = np.unique(self._columns[:, frontier].indices)
            rows = rng.permutation(rows[~rows_seen[rows]])
            fresh: list[Ints64] = []
            for row in rows:
                rows_seen[row] = True
                columns = self._rows.indices[self._rows.indptr[row] : self._rows.indptr[row + 1]]
                columns = columns[allowed[columns] & ~taken[columns]]
                if len(columns) > room:
                    columns = rng.choice(columns, size=room, replace=False)
                taken[columns] = True
                fresh.append(columns)
                room -= len(columns)
                if room <= 0:
                    break
            frontier = np.concatenate(fresh) if fresh else frontier[:0]
            if len(frontier) == 0 and room > 0:  # the component is exhausted: start in another
                rest = candidates[~taken[candidates]]
                if len(rest) == 0:
                    break
                frontier = rng.choice(rest, size=1)
                taken[frontier] = True
                room -= 1
        return np.flatnonzero(taken)


class LbRelaxNeighbourhood:
    """Variables with the largest |x_LP − x̂|, where x_LP solves the relaxation within Hamming distance k of x̂.

    Plain LB-RELAX takes the same set again while the incumbent stands still. So a set that was taken before is answered by
    its sampling variant (LB-RELAX-S): `count` of the variables with a difference, uniformly. Ties are broken at random.
    """

    name = "lb-relax"

    def __init__(self, model: MilpModel, relaxation: Relaxation, *, lp_seconds: float, stop: Stop) -> None:
        self._model = model
        self._relaxation = relaxation
        self._lp_seconds = lp_seconds
        self._stop = stop
        span = model.col_upper - model.col_lower
        self._range = np.maximum(1.0, np.where(np.isfinite(span), span, 1e3))
        self._taken: set[bytes] = set()

    def choose(self, x: Floats, count: int, rng: np.random.Generator, movable: Bools) -> Bools:
        """The `count` largest differences, or a sample of them."""
        model = self._model
        # The root LP is solved once and kept; while its solution lies within the distance it is the answer, so that on
        # set cover with the published k nothing is ever solved again (ilp.md, finding 5).
        limits = {"time_limit_s": self._lp_seconds, "stop": self._stop}
        root = self._relaxation.root(**limits)  # type: ignore[arg-type]
        near = self._relaxation.near(x, float(count), **limits) if root.optimal else root  # type: ignore[arg-type]
        x_lp = near.x if near.x is not None else root.x if root.x is not None else x
        difference = np.where(model.integrality, np.abs(x_lp - x) / self._range, 0.0)  # (n,)
        order = np.lexsort((rng.random(model.n), -difference))
        order = order[(model.integrality & movable)[order]]
        chosen = order[:count]
        digest = np.packbits(np.bincount(chosen, minlength=model.n).astype(bool)).tobytes()
        if digest in self._taken:
            candidates = np.flatnonzero((difference > 1e-9) & movable)
            # Where hardly more variables differ than may be freed, half of them and random others: else the sample is the set.
            share = count if len(candidates) > 2 * count else max(1, min(count, len(candidates)) // 2)
            drawn = rng.choice(candidates, size=min(share, len(candidates)), replace=False)
            others = np.setdiff1d(np.flatnonzero(model.integrality & movable), drawn, assume_unique=True)
            filled = rng.choice(others, size=min(count - len(drawn), len(others)), replace=False)
            chosen = np.concatenate([drawn, filled])
        self._taken.add(digest)
        free = ~model.integrality
        free[chosen] = True
        return free
