"""Instances of a job: read, merged, and split by seed into those to fit and those to judge by."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.domains.learn.types import Instance, Learner
from search.types import InvalidInput
from trimtab.cards import LEAST_HELD_OUT, MOST_HELD_OUT
from trimtab.specs.learn import LearnSpec

CONTRADICTION = 5.0
"""Two labels of one instance contradict each other beyond this factor. Costs of one set of tables
on a shared machine differed by up to 3 (deploy/docs/guide/measured-costs.md, "A CPU profile")."""


@dataclass(frozen=True, kw_only=True)
class LearnProblem:
    """A job's instances, and what its model is for."""

    spec: LearnSpec
    learner: Learner
    instances: tuple[Instance, ...]  # in order of keys, each once
    repeated: int  # instances that were given again

    @property
    def data_sha256(self) -> str:
        """Hash over keys and labels."""
        rows = [[one.key, one.label] for one in self.instances]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Split:
    """Instances to fit and to judge by; no instance is in both."""

    fit: tuple[Instance, ...]
    held_out: tuple[Instance, ...]


def merged(instances: Iterable[Instance]) -> tuple[tuple[Instance, ...], int]:
    """Return every instance once, in order of keys, and how many were repetitions.

    Labels of one instance become their median. Raises InvalidInput for labels that contradict.
    """
    by_key: dict[str, list[Instance]] = defaultdict(list)
    for one in instances:
        by_key[one.key].append(one)
    distinct = []
    for key in sorted(by_key):
        same = by_key[key]
        labels = [one.label for one in same if one.label is not None]
        _require_agreement(same, labels)
        label = statistics.median(labels) if labels else None
        distinct.append(replace(same[0], label=label))
    return tuple(distinct), sum(len(same) - 1 for same in by_key.values())


def _require_agreement(same: Sequence[Instance], labels: Sequence[float]) -> None:
    if len(labels) < 2:
        return
    low, high = min(labels), max(labels)
    agree = high <= CONTRADICTION * low if low > 0 else high == low
    if not agree:
        names = " and ".join(repr(one.name) for one in same[:2])
        raise InvalidInput(
            f"instances: {names}: expected labels of one instance that agree, got {low:g} and "
            f"{high:g}, which contradict each other; measure it again, or drop one"
        )


def require_enough(instances: Sequence[Instance], learner: Learner) -> None:
    """Raise InvalidInput below the number of instances that a card needs."""
    least = max(learner.least_instances, 2 * LEAST_HELD_OUT)
    if len(instances) < least:
        raise InvalidInput(
            f"instances: expected at least {least} different ones for {learner.target}, got "
            f"{len(instances)}; with fewer, no card can be computed. Send more"
        )


def split(instances: Sequence[Instance], *, share: float, seed: int) -> Split:
    """Split whole instances at random."""
    count = round(share * len(instances))
    count = min(max(count, LEAST_HELD_OUT), MOST_HELD_OUT, len(instances) - 1)
    order = np.random.default_rng((seed, 0)).permutation(len(instances))
    held_out, fit = sorted(order[:count].tolist()), sorted(order[count:].tolist())
    return Split(
        fit=tuple(instances[n] for n in fit),
        held_out=tuple(instances[n] for n in held_out),
    )
