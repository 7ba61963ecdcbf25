"""Destroy: which integer variables to free. Continuous ones are always free (fixing them makes most sub-MIPs infeasible).

| arm | frees | source |
|---|---|---|
| `random` | uniformly | |
| `variable-graph` | a seed and what it meets in rows, ring by ring | CL-LNS's baseline VARIABLE |
| `constraint-block` | the variables of rows that are tight, one row after another | Song et al. 2020 (rows) |
| `rins` | where x̂ and the root LP differ | Danna, Rothberg and Le Pape 2005 |
| `crossover` | where good solutions differ | Rothberg 2007 |
| `lb-relax` | the largest differences of x̂ to the local-branching LP | Huang et al., CPAIOR 2023 |
| `lb-relax-s` | a uniform sample of all differences | the same, sampling |
| `lb-relax-r` | each with the probability of its difference | the same, randomised rounding |

The learned arm is in `search.lns.learned`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from search.lns.guide import Guide
from solvers.types import Bools, Floats, MilpModel

Ints64 = NDArray[np.int64]
_DIFFERS = 1e-6
_EPSILON = 0.05  # LB-RELAX-R: everything has at least this chance


class Neighbourhood(Protocol):
    """A destroy heuristic."""

    name: str

    def ready(self, x: Floats) -> bool:
        """False takes the arm out for good: it has nothing to say about this model."""
        ...

    def waits(self) -> bool:
        """True while something is missing that will come: the arm is then not asked. Must be cheap."""
        ...

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """(n,) True for the variables to free: all continuous ones and about `count` integer ones out of `movable`."""
        ...


class Chooser:
    """What all arms share: continuous variables free, integer ones out of `movable`, filled up at random."""

    def __init__(self, model: MilpModel) -> None:
        self._model = model
        self._integers = np.flatnonzero(model.integrality)

    def ready(self, x: Floats) -> bool:
        """Always, unless an arm knows better."""
        return True

    def waits(self) -> bool:
        """Never, unless an arm wants something."""
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
        """`chosen`, and random others up to `count`."""
        missing = count - len(chosen)
        if missing > 0:
            rest = np.setdiff1d(candidates, chosen, assume_unique=False)
            chosen = np.concatenate(
                [chosen, rng.choice(rest, size=min(missing, len(rest)), replace=False)]
            )
        return self._free(chosen)


class Guided(Chooser):
    """An arm that asks the guide."""

    def __init__(self, model: MilpModel, guide: Guide) -> None:
        super().__init__(model)
        self._guide = guide

    def waits(self) -> bool:
        """For the root LP."""
        return self._guide.waiting


class RandomNeighbourhood(Chooser):
    """`count` integer variables, each as likely as the others."""

    name = "random"

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Uniform."""
        return self._filled(self._integers[:0], count, rng, self._candidates(movable))


class VariableGraphNeighbourhood(Chooser):
    """Variables that meet in rows can trade with one another; uniformly chosen ones of a sparse model often cannot."""

    name = "variable-graph"

    def __init__(
        self, model: MilpModel, by_row: sparse.csr_matrix, by_column: sparse.csc_matrix
    ) -> None:
        super().__init__(model)
        self._rows, self._columns = by_row, by_column

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """A breadth-first ball around a random variable, trimmed at random in its last row."""
        candidates = self._candidates(movable)
        return self._free(
            candidates if len(candidates) <= count else self._grow(count, rng, candidates)
        )

    def _grow(self, count: int, rng: np.random.Generator, candidates: Ints64) -> Ints64:
        allowed = np.zeros(self._model.n, dtype=bool)
        allowed[candidates] = True
        taken = np.zeros_like(allowed)
        rows_seen = np.zeros(self._rows.shape[0], dtype=bool)
        frontier = rng.choice(candidates, size=1)
        taken[frontier] = True
        room = count - 1
        while room > 0:
            rows = np.unique(_members(self._columns, frontier))
            rows = rng.permutation(rows[~rows_seen[rows]])
            fresh: list[Ints64] = []
            for row in rows:
                rows_seen[row] = True
                columns = self._rows.indices[
                    self._rows.indptr[row] : self._rows.indptr[row + 1]
                ]
                columns = columns[allowed[columns] & ~taken[columns]]
                if len(columns) > room:
                    columns = rng.choice(columns, size=room, replace=False)
                taken[columns] = True
                fresh.append(columns)
                room -= len(columns)
                if room <= 0:
                    break
            frontier = np.concatenate(fresh) if fresh else frontier[:0]
            if (
                len(frontier) == 0 and room > 0
            ):  # the component is exhausted: start in another
                rest = candidates[~taken[candidates]]
                if len(rest) == 0:
                    break
                frontier = rng.choice(rest, size=1)
                taken[frontier] = True
                room -= 1
        return np.flatnonzero(taken)


def _members(
    matrix: sparse.csc_matrix | sparse.csr_matrix, which: Ints64
) -> NDArray[np.int32]:
    """Indices stored in the columns (rows) `which`."""
    start, end = matrix.indptr[which], matrix.indptr[which + 1]
    counts = end - start
    total = int(counts.sum())
    offset = np.repeat(start - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    members: NDArray[np.int32] = matrix.indices[np.arange(total) + offset]
    return members


class ConstraintBlockNeighbourhood(Chooser):
    """The variables of random rows, those without slack first: they are what holds the incumbent back."""

    name = "constraint-block"

    def __init__(self, model: MilpModel, by_row: sparse.csr_matrix) -> None:
        super().__init__(model)
        self._rows = by_row

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Row after row until `count` variables are in; the last row is trimmed at random."""
        model = self._model
        candidates = self._candidates(movable)
        if len(candidates) <= count or model.m == 0:
            return self._free(candidates)
        activity = self._rows @ x
        with np.errstate(invalid="ignore"):
            slack = np.minimum(activity - model.row_lower, model.row_upper - activity)
        scale = np.maximum(1.0, np.abs(activity))
        order = np.argsort(
            np.where(slack <= 1e-6 * scale, 0.0, 1.0) + 0.999 * rng.random(model.m)
        )
        # Enough rows for the size, in one go: their members in order, each variable where it comes first.
        lengths = np.diff(self._rows.indptr)[order]
        rows = order[: int(np.searchsorted(np.cumsum(lengths), 8 * count)) + 1]
        members = _members(self._rows, rows)
        members = members[(model.integrality & movable)[members]]
        _, first = np.unique(members, return_index=True)
        return self._filled(
            members[np.sort(first)][:count].astype(np.int64), count, rng, candidates
        )


class RinsNeighbourhood(Guided):
    """Variables in which the incumbent and the root LP differ; a sample where there are more than fit."""

    name = "rins"

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Differences, then random others up to `count`."""
        root = self._guide.root()
        target = x if root is None or root.x is None else root.x
        differs = np.flatnonzero((self._guide.difference(x, target) > _DIFFERS) & movable)
        chosen = rng.permutation(differs)[:count]
        return self._filled(chosen, count, rng, self._candidates(movable))


class CrossoverNeighbourhood(Guided):
    """Variables in which the incumbent and one or two other good solutions differ."""

    name = "crossover"

    def waits(self) -> bool:
        """For a second solution: the root LP is not needed."""
        return len(self._guide.pool) < 2

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Differences to the others, then random others up to `count`."""
        others = self._guide.pool.others(x)
        differs = np.zeros(self._model.n, dtype=bool)
        for index in rng.permutation(len(others))[:2]:
            differs |= self._guide.difference(x, others[index]) > _DIFFERS
        chosen = rng.permutation(np.flatnonzero(differs & movable))[:count]
        return self._filled(chosen, count, rng, self._candidates(movable))


class LbRelaxNeighbourhood(Guided):
    """Variables with the largest |x_LP − x̂|, where x_LP solves the relaxation within Hamming distance k of x̂.

    Ties are broken at random. The set is a function of x̂ and k, so plain LB-RELAX takes it again while the incumbent
    stands still; a set that was taken before is answered by its sampling variant.
    """

    name = "lb-relax"

    def __init__(self, model: MilpModel, guide: Guide) -> None:
        super().__init__(model, guide)
        self._sampling = LbRelaxSampling(model, guide)
        self._taken: set[bytes] = set()

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """The `count` largest differences, or a sample of them."""
        model = self._model
        difference = self._guide.difference(x, self._guide.near(x, float(count)))
        order = np.lexsort((rng.random(model.n), -difference))
        order = order[(model.integrality & movable)[order]]
        chosen = order[:count]
        digest = np.packbits(
            np.bincount(chosen[difference[chosen] > _DIFFERS], minlength=model.n).astype(
                bool
            )
        ).tobytes()
        if digest in self._taken:
            return self._sampling.choose(x, count, rng, movable)
        self._taken.add(digest)
        return self._free(chosen)


class LbRelaxSampling(Guided):
    """LB-RELAX-S: a uniform sample of the variables that differ from the local-branching LP."""

    name = "lb-relax-s"

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """At most half of what differs where hardly more differ than may be freed: else the sample is the whole set."""
        difference = self._guide.difference(x, self._guide.near(x, float(count)))
        differs = np.flatnonzero((difference > _DIFFERS) & movable)
        share = count if len(differs) > 2 * count else max(1, min(count, len(differs)) // 2)
        chosen = rng.choice(differs, size=min(share, len(differs)), replace=False)
        return self._filled(chosen, count, rng, self._candidates(movable))


class LbRelaxRounding(Guided):
    """LB-RELAX-R: each variable by itself, with probability (1 − 2ε)Δ + ε."""

    name = "lb-relax-r"

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Independent draws; trimmed or filled at random to `count`, which the size control needs."""
        difference = self._guide.difference(x, self._guide.near(x, float(count)))
        candidates = self._candidates(movable)
        # ε of every variable would be more than the whole neighbourhood on a large model: then less.
        epsilon = min(_EPSILON, 0.5 * count / max(1, len(candidates)))
        drawn = (
            rng.random(len(candidates))
            < (1 - 2 * epsilon) * difference[candidates] + epsilon
        )
        chosen = rng.permutation(candidates[drawn])[:count]
        return self._filled(chosen, count, rng, candidates)
