"""Local search for weighted packings and vertex covers on their conflict graph, without a solver.

A packing (rows of ones · x ≤ 1) is an independent set of the graph whose edges join columns that
share a row; a cover whose rows have two entries each is the complement of one. The search is the
iterated local search (ARW) of Andrade, Resende and Werneck (J. Heuristics 2012) with the weighted
moves of Nogueira, Pinheiro and Subramanian (Optimization Letters 2018): put in one column worth
more than the columns it displaces, (ω, 1), or two for one, (1, 2). At a local optimum a column is
forced in; the search continues nearby and undoes the moves if the result is worse. All quantities
are updated move by move, so a step costs what it touches, not the size of the model: thousands of
exchanges a second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy import sparse

from solvers.types import Floats
from trimtab.specs.ilp import Neighbourhood

_EPS = 1e-9
_REPORT_EVERY_S = 0.01
_MOST_PAIRS = 4_000_000  # of columns in conflict, at some 40 bytes each as Python lists
_CLOCK_EVERY = 16  # kicks between two looks at the clock
_SETTLE_CLOCK_EVERY = 256  # moves between two looks at the clock
_MANY = 0.1  # share of the kicks that force in more than one column


class Exchange:
    """Exchange search on one conflict graph.

    The state stays between calls, so that only differences are loaded.
    """

    name = Neighbourhood.ONE_SWAP.value
    competes = False  # it gets time of its own beside the arms (ADR 13)

    def __init__(
        self, weights: Floats, conflicts: sparse.csr_matrix, *, complement: bool
    ) -> None:
        """Build the graph.

        weights: (n,) value of each column inside the set. conflicts: (n, n) pattern, symmetric,
        without a diagonal. complement: a solution is the set's complement.
        """
        self._w: list[float] = weights.tolist()
        indptr, indices = conflicts.indptr.tolist(), conflicts.indices.tolist()
        self._near = [indices[a:b] for a, b in pairwise(indptr)]
        self._complement = complement
        n = len(self._w)
        self._good = weights > _EPS
        self._worth = np.flatnonzero(self._good).tolist()
        self._unit = float(np.mean(weights[self._good])) if self._worth else 1.0
        self._inside = [False] * n
        self._count = [0] * n  # of neighbours inside
        self._weight = [0.0] * n  # sum of their weights
        # Sum of their numbers: the neighbour itself where there is one.
        self._owner = [0] * n
        self._value = 0.0
        # Moves since the last kick: j + 1 for a column put in, -(j + 1) for one taken out.
        self._journal: list[int] = []
        # Columns outside that lost a neighbour: they may fit, or be worth more than the others.
        self._loose: list[int] = []
        # Columns outside with one neighbour inside: two of them may be worth more than it.
        self._single: list[int] = []

    def improve(
        self,
        x: Floats,
        seconds: float,
        rng: np.random.Generator,
        on_better: Callable[[Floats], None] = lambda x: None,
    ) -> Floats:
        """Return (n,) a feasible 0/1 solution no worse than `x`; report better ones on the way."""
        until = time.process_time() + seconds
        dice = random.Random(int(rng.integers(2**62)))
        self._load((x < 0.5) if self._complement else (x > 0.5))
        best_value, best = self._value, list(self._inside)
        reported_value, reported_s = self._value, time.process_time()
        self._settle(until)
        self._journal.clear()
        kicks = 0
        while True:
            if self._value > best_value + _EPS:
                best_value, best = self._value, list(self._inside)
            if kicks % _CLOCK_EVERY == 0:
                now = time.process_time()
                due = now - reported_s > _REPORT_EVERY_S
                if due and best_value > reported_value + _EPS:
                    reported_value, reported_s = best_value, now
                    on_better(self._solution(best))
                if now >= until or not self._worth:
                    break
            kicks += 1
            before = self._value
            self._kick(dice)
            self._settle(until)
            if self._value < before - _EPS and not self._accepts_worse(
                before, best_value, dice
            ):
                self._undo()
            self._journal.clear()
        return self._solution(best)

    def _accepts_worse(self, before: float, best: float, dice: random.Random) -> bool:
        """Draw whether to continue from a worse solution, with the probability of ARW.

        It is 1 / (1 + 10·Δ·Δ*), with the distances Δ to the current and Δ* to the best value.
        """
        to_current = (before - self._value) / self._unit
        to_best = (best - self._value) / self._unit
        return dice.random() < 1.0 / (1.0 + 10.0 * to_current * to_best)

    def _kick(self, dice: random.Random) -> None:
        for _ in range(1 if dice.random() > _MANY else dice.randint(2, 4)):
            j = self._worth[int(dice.random() * len(self._worth))]
            if not self._inside[j]:
                self._force(j)

    def _settle(self, until: float) -> None:
        """Move to a local optimum of both moves, among the columns that were touched."""
        steps = 0
        while self._loose or self._single:
            steps += 1
            if steps % _SETTLE_CLOCK_EVERY == 0 and time.process_time() >= until:
                self._loose.clear()
                self._single.clear()
                return
            if self._loose:
                j = self._loose.pop()
                if not self._inside[j] and self._w[j] > self._weight[j] + _EPS:
                    self._force(j)
                continue
            j = self._single.pop()
            if not self._inside[j] and self._count[j] == 1:
                self._two_for(self._owner[j], j)

    def _two_for(self, gone: int, first: int) -> None:
        """Exchange `gone` for two columns that it alone keeps out, if they are worth more."""
        count, inside, w = self._count, self._inside, self._w
        threshold = w[gone] - w[first] + _EPS
        others = [
            k
            for k in self._near[gone]
            if count[k] == 1 and not inside[k] and k != first and w[k] > threshold
        ]
        if not others:
            return
        near = set(self._near[first])
        fitting = [k for k in others if k not in near]
        if not fitting:
            return
        second = max(fitting, key=w.__getitem__)
        self._out(gone)
        self._in(first)
        self._in(second)

    def _force(self, j: int) -> None:
        if self._count[j]:
            inside = self._inside
            for k in [k for k in self._near[j] if inside[k]]:
                self._out(k)
        self._in(j)

    def _in(self, j: int) -> None:
        count, weight, owner, w = self._count, self._weight, self._owner, self._w[j]
        self._inside[j] = True
        self._value += w
        self._journal.append(j + 1)
        for k in self._near[j]:
            count[k] += 1
            weight[k] += w
            owner[k] += j
            if count[k] == 1:
                self._single.append(k)

    def _out(self, j: int) -> None:
        count, weight, owner, w = self._count, self._weight, self._owner, self._w[j]
        self._inside[j] = False
        self._value -= w
        self._journal.append(-(j + 1))
        self._loose.append(j)
        for k in self._near[j]:
            count[k] -= 1
            weight[k] -= w
            owner[k] -= j
            self._loose.append(k)
            if count[k] == 1:
                self._single.append(k)

    def _undo(self) -> None:
        for move in reversed(list(self._journal)):
            if move > 0:
                self._out(move - 1)
            else:
                self._in(-move - 1)
        self._loose.clear()
        self._single.clear()

    def _load(self, taken: np.ndarray) -> None:
        """Load another solution by its differences; worthless columns stay outside."""
        taken = taken & self._good
        differs = np.flatnonzero(taken != np.array(self._inside, dtype=bool)).tolist()
        for j in differs:
            if self._inside[j]:
                self._out(j)
        for j in differs:
            if taken[j]:
                self._in(j)
        self._loose += [
            j for j in self._worth if not self._inside[j] and self._count[j] == 0
        ]
        # Sums of weights accumulate rounding over thousands of moves: start from exact ones.
        self._value = sum(self._w[j] for j in np.flatnonzero(taken).tolist())

    def _solution(self, inside: list[bool]) -> Floats:
        x = np.array(inside, dtype=np.float64)
        return 1.0 - x if self._complement else x


def conflicts_of(matrix: sparse.csr_matrix) -> sparse.csr_matrix | None:
    """Return the (n, n) pattern of columns that share a row, without the diagonal.

    None when there are too many pairs.
    """
    sizes = np.diff(matrix.indptr).astype(np.int64)
    if int((sizes * (sizes - 1)).sum()) > _MOST_PAIRS:
        return None
    ones = sparse.csr_matrix(
        (np.ones(len(matrix.indices), dtype=np.int32), matrix.indices, matrix.indptr),
        matrix.shape,
    )
    pairs = sparse.csr_matrix(ones.T @ ones)
    pairs.setdiag(0)
    pairs.eliminate_zeros()
    pairs.sort_indices()
    return pairs
