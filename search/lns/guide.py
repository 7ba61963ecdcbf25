"""Guide of the arms: root LP, local-branching LPs and earlier solutions."""

from __future__ import annotations

import time

import numpy as np

from search.lns.deadline import Deadline
from search.lns.focus import Focus
from search.lns.root_lp import SharedRootLp
from search.lns.wall_clock import WallClockRatio
from solvers.relaxation import Basis, LpSolution, Relaxation
from solvers.types import Floats, MilpModel, Stop

_POOL_SIZE = 10
_LEAST_NEAR_S = 0.1
_POLL_S = 0.005
# Local-branching LPs that may run into their limit before the root's optimum replaces them.
_NEAR_TRIES = 2
_UNBOUNDED_RANGE = 1e3  # stands for the range of a variable without two bounds


class SolutionPool:
    """Best distinct solutions, the best one last."""

    def __init__(self, size: int = _POOL_SIZE) -> None:
        self._size = size
        self._solutions: list[tuple[float, Floats]] = []

    def __len__(self) -> int:
        return len(self._solutions)

    def add(self, objective: float, x: Floats) -> None:
        """Add `x` unless the pool holds it; drop the worst solution of a full pool."""
        if any(
            value == objective and bool((y == x).all()) for value, y in self._solutions
        ):
            return
        self._solutions.append((objective, x))
        self._solutions.sort(key=lambda pair: -pair[0])
        del self._solutions[: -self._size]

    def others(self, x: Floats) -> list[Floats]:
        """Return all solutions but `x`, worst first."""
        return [y for _, y in self._solutions if y is not x and bool((y != x).any())]


class Guide:
    """Root LP, local-branching LPs, solution pool and focus of one search.

    shared_root: shared memory in which another process leaves the root LP's optimum; without it
    the guide solves the LP when it is first needed.
    root_s: seconds that this solve may take, instead of a share of the deadline's.
    """

    def __init__(
        self,
        model: MilpModel,
        *,
        deadline: Deadline | None = None,
        focus: Focus | None = None,
        shared_root: SharedRootLp | None = None,
        root_s: float | None = None,
    ) -> None:
        self.model = model
        self.deadline = Deadline() if deadline is None else deadline
        self.focus = Focus(model) if focus is None else focus
        self.wall_ratio = WallClockRatio()
        self.pool = SolutionPool()
        self.solver_s = 0.0  # inside LPs solved here, the root LP excepted
        self._shared_root, self._limit_of_root_s = shared_root, root_s
        self._root: LpSolution | None = None
        self._basis: Basis | None = None
        self._relaxation: Relaxation | None = None
        self._gave_up = False
        self._setup_s = self._root_s = 0.0
        self._near_failures = 0
        span = model.col_upper - model.col_lower
        self._range = np.maximum(1.0, np.where(np.isfinite(span), span, _UNBOUNDED_RANGE))

    @property
    def relaxation(self) -> Relaxation:
        """The LP, warm between solves."""
        if self._relaxation is None:
            self._relaxation = Relaxation(self.model)
        if self._basis is not None and self._root is not None:
            self._relaxation.adopt(self._root, self._basis)
            self._basis = None
        return self._relaxation

    @property
    def waiting(self) -> bool:
        """True while another process solves the root LP."""
        return (
            self._root is None
            and self._shared_root is not None
            and self._shared_root.pending
        )

    def wait(self, seconds: float, stop: Stop) -> LpSolution | None:
        """Return the root LP's optimum, waiting at most `seconds` for it."""
        until = time.monotonic() + seconds
        while self.waiting and time.monotonic() < until and not stop():
            time.sleep(_POLL_S)
        return None if self.waiting else self.root()

    def root(self) -> LpSolution | None:
        """Return the root LP's optimum; None while it is pending or when its time ran out."""
        if self._root is not None or self._gave_up:
            return self._root
        if self._shared_root is not None:
            return self._take_from(self._shared_root)
        began = time.process_time()
        left_s = self.deadline.left_s()
        limit_s = min(max(3.0, 0.15 * left_s), left_s + 0.1)
        if self._limit_of_root_s is not None:
            limit_s = self._limit_of_root_s
        solution = self.relaxation.root(time_limit_s=limit_s, stop=self.deadline.over)
        self._root_s = time.process_time() - began
        self._setup_s += self._root_s
        if not solution.optimal:
            self._gave_up = True
            return None
        self._root = solution
        self.focus.learn(solution)
        return solution

    def _take_from(self, shared: SharedRootLp) -> LpSolution | None:
        taken = shared.take()
        if taken is None:
            self._gave_up = not shared.pending
            return None
        self._root, self._basis = taken
        self._root_s = self._root.elapsed_s
        self.focus.learn(self._root)
        return self._root

    def take_setup_s(self) -> float:
        """Return the seconds spent on the root LP since the last call.

        One arm happens to need it first, and all arms use it: no single one is charged for it.
        """
        seconds, self._setup_s = self._setup_s, 0.0
        return seconds

    def local_branching_optimum(self, x: Floats, distance: float) -> Floats:
        """Return (n,) the optimum of the LP within Hamming `distance` of x.

        This is the local-branching LP of LB-RELAX (Huang et al., CPAIOR 2023). It is the root's
        optimum where that is near enough, and `x` when there is no root LP.
        """
        root = self.root()
        if root is None:
            return x
        if self._near_failures >= _NEAR_TRIES and root.x is not None:
            return root.x
        # A useful warm solve takes a fraction of the root's time; beyond it the root must do.
        limit_s = min(
            self.wall_ratio.wall_s(max(_LEAST_NEAR_S, 0.3 * self._root_s)),
            0.1 * self.deadline.left_s() + 0.01,
        )
        began = time.process_time()
        near = self.relaxation.near(
            x, distance, time_limit_s=limit_s, stop=self.deadline.over
        )
        used_s = time.process_time() - began
        self.wall_ratio.record(wall_s=near.elapsed_s, cpu_s=used_s)
        self.solver_s += used_s
        self._near_failures += near.x is None
        best = near if near.x is not None else root
        return x if best.x is None else best.x

    def difference(self, x: Floats, y: Floats) -> Floats:
        """Return (n,) |x − y| over each integer variable's range, in [0, 1]; else 0."""
        return np.where(
            self.model.integrality, np.minimum(1.0, np.abs(x - y) / self._range), 0.0
        )
