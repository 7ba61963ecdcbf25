"""Incumbent slots in shared memory: each process of a run writes one, and all read all.

Anonymous shared memory, made before the fork. A slot has one writer, so it needs no lock: the
writer makes the version odd, writes, and makes it even. A reader that sees an odd or changed
version reads again later. A writer that dies in the middle leaves an odd version for ever, which
only means that its last solution is not seen. (On x86-64 and under the GIL's barriers stores are
seen in order; a torn read would need both version reads to agree around it.)
"""

from __future__ import annotations

import math
import mmap

import numpy as np

from search.lns.root_lp import SharedRootLp
from solvers.types import Floats, MilpModel

# Version (int64), objective, bound (float64); the rest keeps x on a cache line of its own.
_HEADER_BYTES = 64


class IncumbentSlot:
    """Best solution and proved bound of one process, minimised sense."""

    def __init__(self, n: int) -> None:
        self._memory = mmap.mmap(-1, _HEADER_BYTES + 8 * max(1, n))
        self._head = np.frombuffer(self._memory, dtype=np.int64, count=1)
        self._numbers = np.frombuffer(self._memory, dtype=np.float64, count=2, offset=8)
        self._x = np.frombuffer(
            self._memory, dtype=np.float64, count=n, offset=_HEADER_BYTES
        )
        self._numbers[:] = (math.inf, -math.inf)

    def put(self, objective: float, x: Floats) -> None:
        """Write a better solution (the one writer only)."""
        self._head[0] += 1
        self._numbers[0] = objective
        self._x[:] = x
        self._head[0] += 1

    def put_bound(self, bound: float) -> None:
        """Write a better bound: one aligned number, never torn."""
        self._numbers[1] = bound

    @property
    def objective(self) -> float:
        """Objective of the solution; infinity while there is none."""
        return float(self._numbers[0])

    @property
    def bound(self) -> float:
        """Proved bound; minus infinity while there is none."""
        return float(self._numbers[1])

    def better_than(self, objective: float) -> tuple[float, Floats] | None:
        """Return (objective, x) if it is better than `objective` and could be read whole."""
        if not self.objective < objective:
            return None
        version = int(self._head[0])
        if version % 2:
            return None
        value, x = self.objective, self._x.copy()
        if int(self._head[0]) != version or not value < objective:
            return None
        return value, x


class IncumbentSlots:
    """Slots of several processes, read as one."""

    def __init__(self, *slots: IncumbentSlot) -> None:
        self._slots = slots

    @property
    def objective(self) -> float:
        """The least objective; infinity while there is none."""
        return min(slot.objective for slot in self._slots)

    def better_than(self, objective: float) -> tuple[float, Floats] | None:
        """Return (objective, x) of the best slot, as `IncumbentSlot.better_than`."""
        return min(self._slots, key=lambda slot: slot.objective).better_than(objective)


class RunSlots:
    """Slots of one run, made before its processes are forked."""

    def __init__(self, model: MilpModel) -> None:
        self.engine = IncumbentSlot(model.n)
        self.lns = IncumbentSlot(model.n)
        self.jump = IncumbentSlot(model.n)
        self.root_lp = SharedRootLp(model)
