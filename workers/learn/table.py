"""Table of learners by target; a worker's child gets it as the need `learners`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from search.domains.learn.types import Learner
from workers.needs import load

LEARNERS: Mapping[str, str] = MappingProxyType(
    {
        "ilp": "workers.learn.ilp:IlpLearner",
        "sharding": "workers.learn.sharding:ShardingLearner",
        "compile": "workers.learn.compile:CompileLearner",
        "antenna": "workers.learn.antenna:AntennaLearner",
    }
)
"""Target → `module:class`, imported only when a job asks for that target."""


def learners() -> dict[str, Callable[[], Learner]]:
    """Return makers of all learners by target."""
    return {target: partial(_make, where) for target, where in LEARNERS.items()}


def _make(where: str) -> Learner:
    made: Learner = load(where)()
    return made
