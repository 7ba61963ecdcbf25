"""Prices of local search steps: the model cost, and a smooth cost that breaks ties.

On several nodes many devices tie for the most columns, and no single step lowers the maximum. So
plans of equal cost are compared by their smooth cost, the same sum with each maximum replaced by a
norm of order 12: it falls with each device that leaves the tie, and changes of devices far below
the maximum hardly count.
"""

from __future__ import annotations

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.search.working_plan import WorkingPlan

TOLERANCE = 1e-9  # relative; costs this close are equal
_ORDER = 12  # of the norm that stands for the maximum
_MAX_UNEQUAL = 64  # devices with unequal links up to which the whole exchange is priced


class StepPrices:
    """Prices steps from the plan as it is now, many at once."""

    def __init__(self, working: WorkingPlan) -> None:
        model = working.model
        self._working, self._model = working, model
        # Over unequal links receiving can decide, so the whole exchange is priced then, not the
        # largest sender's alone.
        unequal = float(model.slowness.max()) > 1
        self.whole_exchange = unequal and model.devices <= _MAX_UNEQUAL

    def now(self) -> tuple[float, float]:
        """Return cost and smooth cost of the plan.

        The estimate is the one that prices steps: a difference between it and the exact exchange
        could make the search go in circles.
        """
        loads, exchange = self._working.loads, self._model.exchange
        weighted = loads.dims * self._model.slowness
        sent = (
            exchange(loads.dims)
            if self.whole_exchange
            else exchange.of_largest(weighted.max())
        )
        top_compute, top_dims = self._tops()
        smooth = self._smooth(
            ((loads.compute / top_compute) ** _ORDER).sum(),
            ((weighted / top_dims) ** _ORDER).sum(),
        )
        return float(loads.compute.max() + sent), float(smooth)

    def price(
        self,
        a: int,
        b: np.ndarray,
        compute_a: np.ndarray,
        compute_b: np.ndarray,
        dims_a: np.ndarray,
        dims_b: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return cost and smooth cost, (N,) each, of N steps that change devices `a` and `b[n]`.

        The other arguments are the compute and the columns of both devices after each step.
        """
        loads, model = self._working.loads, self._model
        weighted = loads.dims * model.slowness
        rest_compute = max_without(loads.compute, a, b)
        rest_dims = max_without(weighted, a, b)
        largest_compute = np.maximum(rest_compute, np.maximum(compute_a, compute_b))
        wa, wb = dims_a * model.slowness[a], dims_b * model.slowness[b]
        largest_dims = np.maximum(rest_dims, np.maximum(wa, wb))
        cost = largest_compute + (
            self._exchange(a, b, dims_a, dims_b)
            if self.whole_exchange
            else model.exchange.of_largest(largest_dims)
        )
        top_compute, top_dims = self._tops()
        sums = []
        for values, top, new_a, new_b in (
            (loads.compute, top_compute, compute_a, compute_b),
            (weighted, top_dims, wa, wb),
        ):
            powers = (values / top) ** _ORDER
            rest = np.maximum(powers.sum() - powers[a] - powers[b], 0.0)
            sums.append(rest + (new_a / top) ** _ORDER + (new_b / top) ** _ORDER)
        return cost, self._smooth(*sums)

    def head(self, device: np.ndarray, pooled: np.ndarray) -> np.ndarray:
        """Return (N,) the milliseconds of pooled vectors, each on its device."""
        heads = self._model.heads
        if len(heads) == 1:
            return heads[0](pooled)
        cost = np.empty(len(pooled))
        kind = self._model.device_class[device]
        for c, head in enumerate(heads):
            cost[kind == c] = head(pooled[kind == c])
        return cost

    def vector(self, device: np.ndarray, option: np.ndarray) -> np.ndarray:
        """Return (N, K) the embedding of each option on its device; zero for NONE."""
        vectors = self._model.embedding[self._model.device_class[device], option]
        return np.where((option == NONE)[:, None], 0.0, vectors)

    def _tops(self) -> tuple[float, float]:
        """Return the largest compute and the most weighted columns of a device."""
        loads = self._working.loads
        weighted = loads.dims * self._model.slowness
        return max(float(loads.compute.max()), 1e-6), max(float(weighted.max()), 1e-6)

    def _smooth(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """Return the milliseconds of both norms, from sums of powers relative to the maxima now."""
        top_compute, top_dims = self._tops()
        exchange = self._model.exchange.of_largest(top_dims * dims ** (1 / _ORDER))
        return np.asarray(top_compute * compute ** (1 / _ORDER) + exchange)

    def _exchange(
        self, a: int, b: np.ndarray, dims_a: np.ndarray, dims_b: np.ndarray
    ) -> np.ndarray:
        """Return (N,) the exchange when `a` and `b[n]` have other columns."""
        dims = np.repeat(self._working.loads.dims[None], len(b), axis=0)
        dims[:, a] = dims_a
        dims[np.arange(len(b)), b] = dims_b
        return self._model.exchange(dims)


def cheapest(cost: np.ndarray, smooth: np.ndarray) -> int:
    """Return the step of least cost: among ties the smoothest, then the first."""
    least = cost.min()
    near = np.flatnonzero(cost <= least + TOLERANCE * max(1.0, abs(float(least))))
    return int(near[smooth[near].argmin()])


def max_without(values: np.ndarray, a: int, b: np.ndarray) -> np.ndarray:
    """Return (N,) the maximum of `values` without a and b[n]; 0 when nothing is left."""
    first, second = -1, -1
    for device in np.argsort(-values, kind="stable")[:3]:
        if device != a:
            first, second = (int(device), second) if first < 0 else (first, int(device))
        if second >= 0:
            break
    if first < 0:
        return np.zeros(len(b))
    return np.where(b == first, values[second] if second >= 0 else 0.0, values[first])
