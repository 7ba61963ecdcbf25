"""Options and answer of one solve, in terms that all doors share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from trimtab.errors import TrimtabError
from trimtab.results import Limit, Reason
from trimtab.specs.common import MAX_SECONDS
from trimtab.specs.ilp import Engine

_SPEC_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "threads": int,
    "absolute_gap": float,
    "cutoff": float,
    "feasibility_tolerance": float,
    "objective_stop": float,
    "bound_stop": float,
    "node_limit": int,
    "solution_limit": int,
}


class DoorError(TrimtabError):
    """A model or an option that a door cannot carry, or a run that ended without an answer."""


@dataclass(frozen=True, kw_only=True)
class SolveOptions:
    """What every door accepts, checked on construction. Raises ValueError."""

    seconds: float | None = None
    """Time limit, seconds. None: the longest budget, one day."""
    gap: float | None = None
    """Relative gap at which the solve ends, in [0, 1]. None: 0.0, a proof."""
    absolute_gap: float | None = None
    """Absolute gap at which the solve ends."""
    threads: int | None = None
    """Cores that the run may use. None: the service's default."""
    engine: str | None = None
    """Complete solver: highs, scip or cp-sat. None: the service's default."""
    seed: int = 0
    """Seed of the search."""
    cutoff: float | None = None
    """Only solutions with this objective or a better one are of interest."""
    feasibility_tolerance: float | None = None
    """Relative violation of rows and bounds that is allowed, 1e-9 to 1e-3. None: 1e-6."""
    objective_stop: float | None = None
    """End at the first solution with this objective or a better one."""
    bound_stop: float | None = None
    """End once the proved bound goes this far."""
    node_limit: int | None = None
    """End when the complete solver has explored this many nodes."""
    solution_limit: int | None = None
    """End at this many solutions, each better than the one before."""
    pool: int | None = None
    """Number of solutions to return, the best one included. None: one."""
    pool_gap: float | None = None
    """Largest relative gap of a solution of the pool to the best one."""
    pool_absolute_gap: float | None = None
    """Largest difference of objectives to the best solution of the pool."""
    pool_distance: int = 1
    """Integer variables in which any two solutions of the pool differ, at least."""
    start: Path | None = None
    """Solution to start from, a .sol or .mst file in the names of the model's file."""

    def __post_init__(self) -> None:
        engines = [engine.value for engine in Engine]
        for name, valid, expected in (
            ("seconds", lambda value: 0 < value < math.inf, "a positive number"),
            ("gap", lambda value: 0 <= value <= 1, "a number in [0, 1]"),
            ("absolute_gap", lambda value: 0 <= value < math.inf, "a number >= 0"),
            ("threads", lambda value: 1 <= value <= 64, "a count from 1 to 64"),
            ("engine", lambda value: value in engines, f"one of {', '.join(engines)}"),
            ("seed", lambda value: 0 <= value < 2**63, "an integer >= 0"),
            ("cutoff", math.isfinite, "a finite number"),
            (
                "feasibility_tolerance",
                lambda value: 1e-9 <= value <= 1e-3,
                "a number in [1e-9, 1e-3]",
            ),
            ("objective_stop", math.isfinite, "a finite number"),
            ("bound_stop", math.isfinite, "a finite number"),
            ("node_limit", lambda value: 0 <= value < 2**31, "a count >= 0"),
            ("solution_limit", lambda value: 1 <= value <= 10**6, "a count >= 1"),
            ("pool", lambda value: 1 <= value <= 200, "a count from 1 to 200"),
            ("pool_gap", lambda value: 0 <= value < math.inf, "a number >= 0"),
            ("pool_absolute_gap", lambda value: 0 <= value < math.inf, "a number >= 0"),
            ("pool_distance", lambda value: 1 <= value <= 10**6, "a count >= 1"),
        ):
            value = getattr(self, name)
            try:
                good = value is None or valid(value)
            except TypeError:
                good = False
            if not good:
                raise ValueError(f"{name}: expected {expected}, got {value!r}")

    def without_targets(self) -> SolveOptions:
        """Return the options for another objective: without targets, pool and start."""
        return replace(
            self, cutoff=None, objective_stop=None, bound_stop=None, pool=None, start=None
        )

    def budget(self) -> dict[str, float]:
        """Return the budget of the job."""
        seconds = MAX_SECONDS if self.seconds is None else self.seconds
        budget = {"seconds": min(float(seconds), MAX_SECONDS)}
        if self.gap is not None:
            budget["target_gap"] = float(self.gap)
        return budget

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields of the job's spec that are set."""
        chosen: dict[str, Any] = {"engine": self.engine}
        for name, kind in _SPEC_FIELDS.items():
            value = getattr(self, name)
            chosen[name] = None if value is None else kind(value)
        if self.pool is not None:
            pool = {
                "size": int(self.pool),
                "distance": int(self.pool_distance),
                "gap": self.pool_gap,
                "absolute_gap": self.pool_absolute_gap,
            }
            chosen["pool"] = {
                name: value for name, value in pool.items() if value is not None
            }
        return {name: value for name, value in chosen.items() if value is not None}


def option_names() -> tuple[str, ...]:
    """Return the names of the options, for messages."""
    return tuple(one.name for one in fields(SolveOptions))


def in_order(
    values: Mapping[str, float] | None, names: Sequence[str]
) -> list[float] | None:
    """Return the values of some names in their order, 0.0 for absent ones; None for none at all."""
    return None if values is None else [float(values.get(name, 0.0)) for name in names]


@dataclass(frozen=True, kw_only=True)
class PoolSolution:
    """A further solution, checked like the best one."""

    objective: float
    """In the user's sense."""
    nonzeros: Mapping[str, float]
    """Values that are not 0."""
    distance: int = 0
    """Integer variables in which it differs from the best solution."""

    def values(self, names: Sequence[str]) -> list[float]:
        """Return the values of these columns, 0.0 where the solution names none."""
        return in_order(self.nonzeros, names) or []


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """A better solution, while the solve runs. It is not checked yet."""

    seconds: float
    objective: float | None
    bound: float | None
    gap: float | None
    values: Mapping[str, float]
    """Values by the user's names; those that are absent are 0."""


OnSolution = Callable[[Improvement], Any]
"""Called with each better solution, at most once a second; True ends the solve with its best."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer to one solve, by the names of the model's file."""

    reason: Reason
    limit: Limit | None = None
    detail: str = ""
    sense: str = "minimize"
    objective: float | None = None
    """In the user's sense, recomputed by the check where it ran. None: no solution."""
    bound: float | None = None
    """Proved bound. None: nothing is proved."""
    gap: float | None = None
    """Relative gap between the two."""
    nonzeros: Mapping[str, float] | None = None
    """Values that are not 0. None: no solution."""
    duals: Mapping[str, float] | None = None
    """Duals of the rows that are not 0: change of the objective per unit of the row's side.

    None where there are none: a model with integers, or a run that ended without a proof."""
    reduced_costs: Mapping[str, float] | None = None
    """Reduced costs of the columns that are not 0, in the same sense."""
    pool: tuple[PoolSolution, ...] = ()
    """Solutions of the pool, the best first; empty unless `pool` was asked for."""
    pool_complete: bool = False
    """Proved: there is no further solution within the limits of the pool."""
    checked: str = "not_checked"
    """Verdict of the independent check: valid, invalid or not_checked."""
    seconds: float = 0.0
    job: str | None = None
    """Id of the job, where a server ran it."""
    log: str = field(default="", repr=False)
    files: Mapping[str, Path] = field(default_factory=dict, repr=False)
    """Files of the result by name, where the caller asked to keep them."""

    @property
    def has_solution(self) -> bool:
        """True when there are values to load."""
        return self.nonzeros is not None

    def values(self, names: Sequence[str]) -> list[float]:
        """Return the values of these columns, 0.0 where the solution names none."""
        return in_order(self.nonzeros or {}, names) or []

    def is_optimal(self) -> bool:
        """True for a proof, or for a solution within the gap that was asked for."""
        return self.reason is Reason.OPTIMAL or (
            self.reason is Reason.FEASIBLE and self.limit is Limit.TARGET_GAP
        )
