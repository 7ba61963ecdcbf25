"""Unit commitment in the three-binary form, with the unit types of Carrión and Arroyo (2006).

Load profile of Ostrowski, Anjos and Vannelli (2012). Costs of each unit are multiplied by
U(0.9, 1.1), so that no two units are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.draft import Draft

# Largest and least power, least hours on and off, cost a + b·p + c·p² and cost of a start.
_TYPES = np.array(
    [
        (455, 150, 8, 1000, 16.19, 0.00048, 4500),
        (455, 150, 8, 970, 17.26, 0.00031, 5000),
        (130, 20, 5, 700, 16.6, 0.002, 550),
        (130, 20, 5, 680, 16.5, 0.00211, 560),
        (162, 25, 6, 450, 19.7, 0.00398, 900),
        (80, 20, 3, 370, 22.26, 0.00712, 170),
        (85, 25, 3, 480, 27.74, 0.00079, 260),
        (55, 10, 1, 660, 25.92, 0.00413, 30),
    ]
)
# Percent of the peak, by hour.
_DAY = np.array(
    [
        *(71, 65, 62, 60, 58, 58, 60, 64, 73, 80, 82, 83),
        *(82, 80, 79, 79, 83, 91, 90, 88, 85, 84, 79, 74),
    ]
)
_PEAK = 0.9  # of the capacity of all units
_RESERVE = 0.03
_SHORTAGE = 1000.0  # cost of a unit
_SEGMENTS = 2  # of the cost above the least power


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fleet:
    """Units; shapes (units,), slopes (units, segments)."""

    high: np.ndarray
    low: np.ndarray
    least_hours: np.ndarray
    running: np.ndarray  # cost of an hour at the least power
    slopes: np.ndarray
    start: np.ndarray
    ramp: np.ndarray  # power an hour
    on_before: np.ndarray


def unit_commitment(
    *,
    units: int,
    hours: int,
    plant: np.random.Generator,
    demand: np.random.Generator | None = None,
) -> MilpModel:
    """Return a program that switches units on (u), with starts v, stops w and power p.

    demand: draws the load anew; the fleet, its costs and its state before the first hour stay.
    """
    fleet = _fleet(units, plant)
    noise = (plant if demand is None else demand).uniform(0.96, 1.04, hours)
    load = np.round(_PEAK * fleet.high.sum() * _DAY[np.arange(hours) % 24] / 100 * noise)
    draft = Draft()
    u, v, w = (
        draft.columns(units, hours, cost=cost[:, None], binary=True)
        for cost in (fleet.running, fleet.start, np.zeros(units))
    )
    span = fleet.high - fleet.low
    p = draft.columns(
        units,
        hours,
        _SEGMENTS,
        cost=fleet.slopes[:, None, :],
        upper=(span / _SEGMENTS)[:, None, None],
    )
    _add_switching(draft, fleet, u, v, w)
    _add_power(draft, fleet, u, v, w, p)
    missing = draft.columns(hours, cost=_SHORTAGE)
    served = draft.rows(hours, lower=load)
    draft.add(served, u, fleet.low[:, None])
    draft.add(served[:, None], p)
    draft.add(served, missing)
    reserved = draft.rows(hours, lower=(1 + _RESERVE) * load)
    draft.add(reserved, u, fleet.high[:, None])
    draft.add(reserved, missing)
    return draft.model("unit-commitment")


def _fleet(units: int, rng: np.random.Generator) -> _Fleet:
    high, low, least, a, b, c, start = _TYPES[np.arange(units) % len(_TYPES)].T
    factor = rng.uniform(0.9, 1.1, units)
    least = np.maximum(1, least + rng.integers(-1, 2, units)).astype(int)
    edges = np.linspace(low, high, _SEGMENTS + 1, axis=1)
    slopes = b[:, None] + c[:, None] * (edges[:, 1:] + edges[:, :-1])
    return _Fleet(
        high=high,
        low=low,
        least_hours=least,
        running=factor * (a + b * low + c * low**2),
        slopes=factor[:, None] * slopes,
        start=factor * start,
        ramp=np.ceil(rng.uniform(0.25, 0.5, units) * (high - low)),
        on_before=rng.random(units) < 0.6,
    )


def _add_switching(
    draft: Draft, fleet: _Fleet, u: np.ndarray, v: np.ndarray, w: np.ndarray
) -> None:
    """Add u_t − u_{t−1} = v_t − w_t, and the least hours on and off."""
    units, hours = u.shape
    before = np.zeros((units, hours))
    before[:, 0] = fleet.on_before
    change = draft.rows(units, hours, lower=before, upper=before)
    draft.add(change, u)
    draft.add(change[:, 1:], u[:, :-1], -1)
    draft.add(change, v, -1)
    draft.add(change, w)
    up = draft.rows(units, hours, upper=0)
    down = draft.rows(units, hours, upper=1)
    draft.add(up, u, -1)
    draft.add(down, u)
    for back in range(int(fleet.least_hours.max())):
        still = fleet.least_hours > back
        draft.add(up[still, back:], v[still, : hours - back])
        draft.add(down[still, back:], w[still, : hours - back])


def _add_power(
    draft: Draft,
    fleet: _Fleet,
    u: np.ndarray,
    v: np.ndarray,
    w: np.ndarray,
    p: np.ndarray,
) -> None:
    """Add the limits of power at a start, before a stop, and from hour to hour."""
    units, hours = u.shape
    span, ramp = (fleet.high - fleet.low)[:, None], fleet.ramp[:, None]
    at_start = draft.rows(units, hours, upper=0)
    before_stop = draft.rows(units, hours - 1, upper=0)
    for limit, part in ((at_start, slice(None)), (before_stop, slice(hours - 1))):
        draft.add(limit[:, :, None], p[:, part])
        draft.add(limit, u[:, part], -span)
    # A unit may start at, and stop from, one ramp above its least power.
    draft.add(at_start, v, span - ramp)
    draft.add(before_stop, w[:, 1:], span - ramp)
    for sign in (1.0, -1.0):
        step = draft.rows(units, hours - 1, upper=ramp)
        draft.add(step[:, :, None], p[:, 1:], sign)
        draft.add(step[:, :, None], p[:, :-1], -sign)
