"""Arms of suite `goals`: the planner, and what a user would have without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from search.domains.plan import PlanDomain, build
from workers.bench.plan.planning import Planner


def planner(name: str) -> Planner:
    """Return an arm by its name. Raises ValueError."""
    if name not in ARMS:
        raise ValueError(f"arms: expected some of {', '.join(ARMS)}, got {name!r}")
    return Planner(ARMS[name])


ARMS: Mapping[str, Callable[[], PlanDomain]] = MappingProxyType({"templates": build})
"""Arm → maker of its domain."""
