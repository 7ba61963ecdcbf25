"""What the processes of one run share: each writes its best solution to its own place, and all read all.

Anonymous shared memory, made before the fork. One writer to a place, so no lock: the writer makes the version odd, writes,
makes it even; a reader that sees an odd or changed version reads again later. A writer that dies in the middle leaves an
odd version for ever, which only means that its last solution is not seen. (On x86-64 and under the GIL's barriers stores
are seen in order; a torn read would need both version reads to agree around it.)
"""

from __future__ import annotations

import math
import mmap

import numpy as np

from solvers.types import Floats

_HEADER_BYTES = 64  # version (int64), objective, bound (float64); the rest keeps x on its own cache line


class Place:
    """One process' place: its best solution and its proved bound, minimised sense."""

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
        """Objective of the solution in place; infinity while there is none."""
        return float(self._numbers[0])

    @property
    def bound(self) -> float:
        """Proved bound; minus infinity while there is none."""
        return float(self._numbers[1])

    def better_than(self, objective: float) -> tuple[float, Floats] | None:
        """(objective, x) when it beats `objective` and could be read whole."""
        if not self.objective < objective:
            return None
        version = int(self._head[0])
        if version % 2:
            return None
        found, x = self.objective, self._x.copy()
        if int(self._head[0]) != version or not found < objective:
            return None
        return found, x


class Places:
    """Several processes' places, read as one."""

    def __init__(self, *places: Place) -> None:
        self._places = places

    @property
    def objective(self) -> float:
        """The least of all; infinity while there is none."""
        return min(place.objective for place in self._places)

    def better_than(self, objective: float) -> tuple[float, Floats] | None:
        """As `Place.better_than`, of the best place."""
        return min(self._places, key=lambda place: place.objective).better_than(objective)
