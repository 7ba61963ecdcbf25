"""What arms know of the problem beside the incumbent: the root LP and earlier solutions. One for all arms of a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from search.lns.root_lp import SharedRootLp
from search.lns.wall_clock import WallClockRatio
from solvers.relaxation import Basis, LpSolution, Relaxation
from solvers.types import Floats, MilpModel, Stop

_POOL = 10
_LEAST_NEAR_S = 0.1
_POLL_S = 0.005
_NEAR_TRIES = (
    2  # LB-LPs that ran into their limit before the root's optimum stands in for good
)


class Pool:
    """The latest distinct solutions, best last."""

    def __init__(self, size: int = _POOL) -> None:
        self._size = size
        self._solutions: list[tuple[float, Floats]] = []

    def __len__(self) -> int:
        return len(self._solutions)

    def add(self, objective: float, x: Floats) -> None:
        """Keep `x`, unless it is here already; the worst goes when there are too many."""
        if any(known == objective and bool((y == x).all()) for known, y in self._solutions):
            return
        self._solutions.append((objective, x))
        self._solutions.sort(key=lambda pair: -pair[0])
        del self._solutions[: -self._size]

    def others(self, x: Floats) -> list[Floats]:
        """All but `x`, worst first."""
        return [y for _, y in self._solutions if y is not x and bool((y != x).any())]


class Guide:
    """Root LP, LB-LPs, the pool. The root is solved `beside` the search, or, without a place for that, when first asked for."""

    def __init__(
        self,
        model: MilpModel,
        *,
        stop: Stop,
        remaining_s: Callable[[], float] = lambda: math.inf,
        on_root: Callable[[LpSolution], None] = lambda root: None,
        beside: SharedRootLp | None = None,
    ) -> None:
        self._model = model
        self._beside = beside
        self._basis: Basis | None = None
        self._stop = stop
        self._remaining_s = remaining_s
        self._on_root = on_root
        self._relaxation: Relaxation | None = None
        self._root: LpSolution | None = None
        self._gave_up = False
        self._setup_s = self._root_s = 0.0
        self.solver_s = 0.0  # inside LPs solved here, the root apart: that is no arm's time
        self._near_failed = 0
        self.stretch = WallClockRatio()
        self.pool = Pool()
        span = model.col_upper - model.col_lower
        self._range = np.maximum(1.0, np.where(np.isfinite(span), span, 1e3))

    @property
    def relaxation(self) -> Relaxation:
        """The LP, warm between solves."""
        if self._relaxation is None:
            self._relaxation = Relaxation(self._model)
        if self._basis is not None and self._root is not None:
            self._relaxation.adopt(self._root, self._basis)
            self._basis = None
        return self._relaxation

    @property
    def waiting(self) -> bool:
        """True while the root LP is being solved beside the search."""
        return self._root is None and self._beside is not None and self._beside.pending

    def wait(self, seconds: float, stop: Stop) -> LpSolution | None:
        """The root LP, waiting so long for it at most."""
        until = time.monotonic() + seconds
        while self.waiting and time.monotonic() < until and not stop():
            time.sleep(_POLL_S)
        return None if self.waiting else self.root()

    def root(self) -> LpSolution | None:
        """The root LP's optimum; None while it is being solved beside, and when it could not be solved in its time."""
        if self._root is not None or self._gave_up:
            return self._root
        if self._beside is not None:
            return self._taken(self._beside)
        began = time.process_time()
        left_s = self._remaining_s()
        limit_s = min(max(3.0, 0.15 * left_s), left_s + 0.1)
        found = self.relaxation.root(time_limit_s=limit_s, stop=self._stop)
        self._root_s = time.process_time() - began
        self._setup_s += self._root_s
        if not found.optimal:
            self._gave_up = True
            return None
        self._root = found
        self._on_root(found)
        return found

    def _taken(self, beside: SharedRootLp) -> LpSolution | None:
        found = beside.take()
        if found is None:
            self._gave_up = not beside.pending
            return None
        self._root, self._basis = found
        self._root_s = self._root.elapsed_s
        self._on_root(self._root)
        return self._root

    def take_setup_s(self) -> float:
        """Seconds spent on the root LP since last asked: whichever arm asked for it first, all use it."""
        seconds, self._setup_s = self._setup_s, 0.0
        return seconds

    def near(self, x: Floats, distance: float) -> Floats:
        """(n,) optimum of the LP within Hamming `distance` of `x`; the root's where it is that near, `x` when there is none."""
        root = self.root()
        if root is None:
            return x
        if self._near_failed >= _NEAR_TRIES and root.x is not None:
            return root.x
        # Warm it takes a fraction of the root's time where it is of any use; where it takes more, the root must do.
        limit_s = min(
            self.stretch.wall_s(max(_LEAST_NEAR_S, 0.3 * self._root_s)),
            0.1 * self._remaining_s() + 0.01,
        )
        began = time.process_time()
        found = self.relaxation.near(x, distance, time_limit_s=limit_s, stop=self._stop)
        used_s = time.process_time() - began
        self.stretch.note(wall_s=found.elapsed_s, cpu_s=used_s)
        self.solver_s += used_s
        self._near_failed += found.x is None
        best = found if found.x is not None else root
        return x if best.x is None else best.x

    def difference(self, x: Floats, y: Floats) -> Floats:
        """(n,) |x − y| over each integer variable's range, in [0, 1]; 0 for continuous ones."""
        return np.where(
            self._model.integrality, np.minimum(1.0, np.abs(x - y) / self._range), 0.0
        )
