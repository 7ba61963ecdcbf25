"""Destroy heuristics: the integer variables that one step frees.

Continuous variables are always free, because fixing them makes most sub-MIPs infeasible. The table
of arms is in `search.lns.arms`, their meaning in `trimtab.specs.ilp.Neighbourhood`; the learned arm
is in `search.lns.learned`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from search.lns.decision_rows import decision_rows
from search.lns.guide import Guide
from solvers.types import Bools, Floats, MilpModel

Ints64 = NDArray[np.int64]
_DIFFERS = 1e-6
_EPSILON = 0.05  # ε of LB-RELAX-R: least chance of a variable
_SLACK = 1e-6  # relative; rows with less are tight
_MOST_ROWS = 5_000  # that a ball in the graph grows through


class DestroyHeuristic(Protocol):
    """Heuristic that chooses the variables to free."""

    def ready(self, x: Floats) -> bool:
        """Return False to drop the arm for good, because it does not apply to this model."""
        ...

    def waits(self) -> bool:
        """Return True while the arm lacks something that will come. Must be cheap."""
        ...

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Return (n,) the variables to free.

        These are all continuous ones, and about `count` integer ones out of `movable`.
        """
        ...


class DestroyBase:
    """Base of all arms: always ready, continuous variables free, random variables to fill up."""

    def __init__(self, model: MilpModel) -> None:
        self._model = model
        self._integers = np.flatnonzero(model.integrality)

    def ready(self, x: Floats) -> bool:
        """Return True: most arms apply to every model that they are made for."""
        return True

    def waits(self) -> bool:
        """Return False: most arms need nothing from other processes."""
        return False

    def _candidates(self, movable: Bools) -> Ints64:
        return self._integers[movable[self._integers]]

    def _free(self, chosen: Ints64) -> Bools:
        free = ~self._model.integrality
        free[chosen] = True
        return free

    def _filled(
        self, chosen: Ints64, count: int, rng: np.random.Generator, candidates: Ints64
    ) -> Bools:
        """Free `chosen`, and random other candidates up to `count`."""
        missing = count - len(chosen)
        if missing > 0:
            rest = np.setdiff1d(candidates, chosen, assume_unique=False)
            chosen = np.concatenate(
                [chosen, rng.choice(rest, size=min(missing, len(rest)), replace=False)]
            )
        return self._free(chosen)


class GuidedBase(DestroyBase):
    """Base of the arms that need the root LP from the guide."""

    def __init__(self, model: MilpModel, guide: Guide) -> None:
        super().__init__(model)
        self._guide = guide

    def waits(self) -> bool:
        """Return True while another process solves the root LP."""
        return self._guide.waiting


class RandomNeighbourhood(DestroyBase):
    """Random arm: `count` integer variables, all equally likely."""

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Return a uniform sample."""
        return self._filled(self._integers[:0], count, rng, self._candidates(movable))


class VariableGraphNeighbourhood(DestroyBase):
    """Ball in the graph of variables that share rows.

    Variables that share rows can trade with one another; uniformly chosen ones of a sparse model
    often cannot. Baseline VARIABLE of CL-LNS (Huang et al., ICML 2023). The ball grows through
    continuous variables without counting them: set-ups of one item share no row, but its stock
    joins them.
    """

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
    ) -> None:
        super().__init__(model)
        self._rows, self._columns = by_row, by_column

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Return a breadth-first ball around a random variable, its last row trimmed at random."""
        candidates = self._candidates(movable)
        if len(candidates) <= count:
            return self._free(candidates)
        return self._filled(self._grow(count, rng, candidates), count, rng, candidates)

    def _grow(self, count: int, rng: np.random.Generator, candidates: Ints64) -> Ints64:
        integer = self._model.integrality
        allowed = ~integer
        allowed[candidates] = True
        taken = np.zeros_like(allowed)
        rows_seen = np.zeros(self._rows.shape[0], dtype=bool)
        frontier = rng.choice(candidates, size=1)
        taken[frontier] = True
        room, rows_left = count - 1, _MOST_ROWS
        while room > 0 and rows_left > 0:
            rows = np.unique(_members(self._columns, frontier))
            rows = rng.permutation(rows[~rows_seen[rows]])[:rows_left]
            rows_left -= len(rows)
            fresh: list[Ints64] = []
            for row in rows:
                rows_seen[row] = True
                columns = self._rows.indices[
                    self._rows.indptr[row] : self._rows.indptr[row + 1]
                ]
                columns = columns[allowed[columns] & ~taken[columns]]
                counted = columns[integer[columns]]
                if len(counted) > room:
                    counted = columns = rng.choice(counted, size=room, replace=False)
                taken[columns] = True
                fresh.append(columns)
                room -= len(counted)
                if room <= 0:
                    break
            frontier = np.concatenate(fresh) if fresh else frontier[:0]
            if len(frontier) == 0 and room > 0:
                # The component is exhausted: start in another one.
                rest = candidates[~taken[candidates]]
                if len(rest) == 0:
                    break
                frontier = rng.choice(rest, size=1)
                taken[frontier] = True
                room -= 1
        return np.flatnonzero(taken & integer)


def _members(
    matrix: sparse.csc_matrix | sparse.csr_matrix, lines: Ints64
) -> NDArray[np.int32]:
    """Return the indices stored in the columns (rows) `lines`, one after another."""
    start, end = matrix.indptr[lines], matrix.indptr[lines + 1]
    counts = end - start
    total = int(counts.sum())
    offset = np.repeat(start - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    members: NDArray[np.int32] = matrix.indices[np.arange(total) + offset]
    return members


class ConstraintBlockNeighbourhood(DestroyBase):
    """Variables of random rows, tight rows first, because these hold the incumbent back.

    After the row-based neighbourhoods of Song et al. (NeurIPS 2020). A row's continuous variables
    stand for the integer ones that switch them (search.lns.decision_rows).
    """

    def __init__(self, model: MilpModel, by_row: sparse.csr_matrix) -> None:
        super().__init__(model)
        self._rows = by_row
        self._decisions = decision_rows(model, by_row)

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Add row after row until `count` variables are free."""
        model = self._model
        candidates = self._candidates(movable)
        if len(candidates) <= count or model.m == 0:
            return self._free(candidates)
        activity = self._rows @ x
        with np.errstate(invalid="ignore"):
            slack = np.minimum(activity - model.row_lower, model.row_upper - activity)
        scale = np.maximum(1.0, np.abs(activity))
        tight_first = np.where(slack <= _SLACK * scale, 0.0, 1.0)
        order = np.argsort(tight_first + 0.999 * rng.random(model.m))
        # Enough rows at once: their members in order, each variable at its first occurrence.
        lengths = np.diff(self._decisions.indptr)[order]
        rows = order[: int(np.searchsorted(np.cumsum(lengths), 8 * count)) + 1]
        members = _members(self._decisions, rows)
        members = members[(model.integrality & movable)[members]]
        _, first = np.unique(members, return_index=True)
        return self._filled(
            members[np.sort(first)][:count].astype(np.int64), count, rng, candidates
        )


class RinsNeighbourhood(GuidedBase):
    """RINS (Danna, Rothberg and Le Pape 2005), with the root LP in place of the node's.

    Variables that differ between incumbent and LP; a sample where there are too many.
    """

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Free differences, then random others up to `count`."""
        root = self._guide.root()
        target = x if root is None or root.x is None else root.x
        differs = np.flatnonzero((self._guide.difference(x, target) > _DIFFERS) & movable)
        chosen = rng.permutation(differs)[:count]
        return self._filled(chosen, count, rng, self._candidates(movable))


class CrossoverNeighbourhood(GuidedBase):
    """Crossover (Rothberg 2007): variables that differ between two or three good solutions."""

    def waits(self) -> bool:
        """Return True until there is a second solution; the root LP is not needed."""
        return len(self._guide.pool) < 2

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Free the differences to the others, then random variables up to `count`."""
        others = self._guide.pool.others(x)
        differs = np.zeros(self._model.n, dtype=bool)
        for index in rng.permutation(len(others))[:2]:
            differs |= self._guide.difference(x, others[index]) > _DIFFERS
        chosen = rng.permutation(np.flatnonzero(differs & movable))[:count]
        return self._filled(chosen, count, rng, self._candidates(movable))


class LbRelaxNeighbourhood(GuidedBase):
    """LB-RELAX (Huang et al., CPAIOR 2023): the k variables with the largest Δ = |x_LP − x̂|.

    x_LP solves the relaxation within Hamming distance k of the incumbent x̂. Ties are broken at
    random. The set is a function of x̂ and k, so plain LB-RELAX repeats it while the incumbent does
    not change; instead of a set that was tried before, the sampling variant chooses
    (deploy/docs/design/ilp.md, "LB-RELAX").
    """

    def __init__(self, model: MilpModel, guide: Guide) -> None:
        super().__init__(model, guide)
        self._sampling = LbRelaxSampling(model, guide)
        self._tried: set[bytes] = set()

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Free the `count` largest differences, or a sample of all differences."""
        model = self._model
        difference = self._guide.difference(
            x, self._guide.local_branching_optimum(x, float(count))
        )
        order = np.lexsort((rng.random(model.n), -difference))
        order = order[(model.integrality & movable)[order]]
        chosen = order[:count]
        key = set_key(chosen[difference[chosen] > _DIFFERS], model.n)
        if key in self._tried:
            return self._sampling.choose(x, count, rng, movable)
        self._tried.add(key)
        return self._free(chosen)


class LbRelaxSampling(GuidedBase):
    """LB-RELAX-S (sampling): a uniform sample of the variables with Δ > 0."""

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Free a sample, at most half of the differences where they would hardly exceed `count`.

        Otherwise the sample would be the whole set each time.
        """
        difference = self._guide.difference(
            x, self._guide.local_branching_optimum(x, float(count))
        )
        differs = np.flatnonzero((difference > _DIFFERS) & movable)
        share = (
            count if len(differs) > 2 * count else max(1, min(count, len(differs)) // 2)
        )
        chosen = rng.choice(differs, size=min(share, len(differs)), replace=False)
        return self._filled(chosen, count, rng, self._candidates(movable))


class LbRelaxRounding(GuidedBase):
    """LB-RELAX-R (randomised rounding): each variable with probability (1 − 2ε)Δ + ε."""

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Draw independently; trim or fill at random to `count`, which the size control needs."""
        difference = self._guide.difference(
            x, self._guide.local_branching_optimum(x, float(count))
        )
        candidates = self._candidates(movable)
        # On a large model ε alone would fill more than the whole neighbourhood: use less there.
        epsilon = min(_EPSILON, 0.5 * count / max(1, len(candidates)))
        drawn = (
            rng.random(len(candidates))
            < (1 - 2 * epsilon) * difference[candidates] + epsilon
        )
        chosen = rng.permutation(candidates[drawn])[:count]
        return self._filled(chosen, count, rng, candidates)


def set_key(chosen: Ints64, n: int) -> bytes:
    """Return a key that is equal for equal sets of variables out of `n`."""
    members = np.zeros(n, dtype=bool)
    members[chosen] = True
    return np.packbits(members).tobytes()
