"""Repairs of leaves that failed: another engine, more time; at most two for each leaf.

A repaired leaf is a new leaf with an id of its own (`l1.r1`). Leaves that were skipped because it
had failed are offered again beside it, and read its files.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from search.domains.plan.outline.conditions import parse
from search.domains.plan.outline.filters import validated
from search.domains.plan.outline.paths import MISSING, get, put
from search.rest import EndedJob
from trimtab.estimates import in_order, parents_of, seconds_of
from trimtab.plans import LEAF_FILE, MAX_REPAIRS, Leaf, LeafEdge, Origin, Outline, Repair
from trimtab.results import JobState, Limit, Reason
from trimtab.specs.common import MAX_SECONDS, Budget, Spec

POST = "post"
_VERSION = re.compile(r"^(?P<root>.+?)(?:\.r(?P<number>\d+))?$")
_TIMES = re.compile(r"^x(\d+(?:\.\d+)?)$")
# Ends that no repair changes: something was proved, or the owner wanted it so.
_SETTLED = frozenset(
    {
        Reason.INFEASIBLE,
        Reason.UNBOUNDED,
        Reason.INFEASIBLE_OR_UNBOUNDED,
        Reason.OPTIMAL,
        Reason.CANCELLED,
    }
)
_UNSTATED: Mapping[str, Any] = MappingProxyType(
    {f"budget.{name}": f.default for name, f in Budget.model_fields.items()}
)


@dataclass(frozen=True, kw_only=True)
class Repairs:
    """Leaves and edges that a round of repairs adds to an outline."""

    leaves: Mapping[str, Leaf] = field(default_factory=dict)
    edges: Mapping[str, LeafEdge] = field(default_factory=dict)

    def added_to(self, outline: Outline) -> Outline:
        """Return the outline with them."""
        return outline.model_copy(
            update={
                "leaves": {**outline.leaves, **self.leaves},
                "edges": {**outline.edges, **self.edges},
            }
        )


def root_of(name: str) -> tuple[str, int]:
    """Return the leaf that a name is a version of, and the number of the repair (0: none)."""
    match = _VERSION.match(name)
    if match is None:
        raise ValueError(f"leaf: expected a name, got {name!r}")
    return match["root"], int(match["number"] or 0)


def newest(outline: Outline) -> dict[str, str]:
    """Return the newest version of each leaf, by the leaf it repairs."""
    leaves: dict[str, str] = {}
    for name in sorted(outline.leaves, key=root_of):
        leaves[root_of(name)[0]] = name
    return leaves


def fault_of(leaf: Leaf, job: EndedJob) -> str | None:
    """Return why a leaf needs a repair: a reason of termination or `post`; None when it needs none.

    A job that was skipped needs no repair of its own.
    """
    if job.state in (JobState.CANCELLED, JobState.SKIPPED):
        return None
    ended = job.termination or {}
    reason = str(ended.get("reason", Reason.INTERNAL_ERROR.value))
    if job.state is not JobState.SUCCEEDED:
        return reason
    if reason in _SETTLED or ended.get("limit") == Limit.STOPPED:
        return None
    if reason == Reason.NO_SOLUTION_FOUND:
        return reason
    return POST if unmet(leaf, job) else None


def unmet(leaf: Leaf, job: EndedJob) -> tuple[str, ...]:
    """Return the post-conditions of a leaf that its result does not meet."""
    context = {
        "spec": job.spec,
        "budget": job.budget,
        "seed": job.seed,
        "result": job.result or {},
    }
    return tuple(text for text in leaf.post if not parse(text).holds(context))


def repairs_of(
    outline: Outline, jobs: Mapping[str, EndedJob], *, specs: Mapping[str, type[Spec]]
) -> Repairs:
    """Return one round of repairs for the leaves that failed; none where nothing helps."""
    versions = newest(outline)
    leaves: dict[str, Leaf] = {}
    replaced: dict[str, str] = {}  # newest version → its repair
    parents = parents_of(outline)
    for name in in_order(outline.leaves, parents):
        root, number = root_of(name)
        leaf, job = outline.leaves[name], jobs.get(name)
        if versions[root] != name or job is None or not leaf.enabled:
            continue
        if number >= MAX_REPAIRS:
            continue
        made = None
        if job.state is JobState.SKIPPED:
            if any(parent in replaced for parent in parents[name]):
                made = _again(leaf, name, replaced)
        elif (fault := fault_of(leaf, job)) is not None:
            made = _repaired(leaf, name, fault, specs)
        if made is not None:
            replaced[name] = f"{root}.r{number + 1}"
            leaves[replaced[name]] = made
    return Repairs(leaves=leaves, edges=_edges(outline, jobs, replaced))


def _repaired(
    leaf: Leaf, name: str, fault: str, specs: Mapping[str, type[Spec]]
) -> Leaf | None:
    """Return a leaf after the first of its repairs that is for this fault and changes it."""
    for rule in leaf.repair:
        if fault not in rule.on:
            continue
        made = _applied(leaf, rule)
        if made is None:
            continue
        try:
            validated(leaf.kind, made, specs)
        except ValueError:
            continue  # the rule does not suit this leaf as its owner edited it
        return leaf.model_copy(
            update={
                "title": f"{leaf.title}: again with {rule.words}",
                "spec": made["spec"],
                "budget": made["budget"],
                "seed": made["seed"],
                "repair": tuple(other for other in leaf.repair if other != rule),
                "seconds": seconds_of(leaf.kind, made["budget"]),
                "origin": Origin(source="repair", id=name),
            }
        )
    return None


def _applied(leaf: Leaf, rule: Repair) -> dict[str, Any] | None:
    """Return the request after a repair; None when it changes nothing."""
    before = {"spec": leaf.spec, "budget": leaf.budget, "seed": leaf.seed}
    request = copy.deepcopy(before)
    for path, value in rule.set.items():
        times = _TIMES.match(value) if isinstance(value, str) else None
        if times is None:
            put(request, path, value)
            continue
        old = get(request, path)
        old = _UNSTATED.get(path) if old is MISSING else old
        if isinstance(old, bool) or not isinstance(old, int | float):
            return None
        new = type(old)(old * float(times[1]))
        put(request, path, min(new, MAX_SECONDS) if path == "budget.seconds" else new)
    return request if request != before else None


def _again(leaf: Leaf, name: str, replaced: Mapping[str, str]) -> Leaf:
    """Return a skipped leaf once more, reading the files of the repaired leaves."""
    return leaf.model_copy(
        update={
            "spec": _reading(leaf.spec, replaced),
            "origin": Origin(source="repair", id=name),
        }
    )


def _reading(value: Any, replaced: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: replaced.get(part, part)
            if key == LEAF_FILE and isinstance(part, str)
            else _reading(part, replaced)
            for key, part in value.items()
        }
    return (
        [_reading(part, replaced) for part in value] if isinstance(value, list) else value
    )


def _edges(
    outline: Outline, jobs: Mapping[str, EndedJob], replaced: Mapping[str, str]
) -> dict[str, LeafEdge]:
    """Return the edges of repaired leaves whose child runs again as well."""
    edges: dict[str, LeafEdge] = {}
    for key, edge in outline.edges.items():
        if edge.child not in replaced or edge.parent not in replaced:
            continue  # a parent that is not repaired has ended
        if jobs[edge.child].state is JobState.SKIPPED:
            name = f"{root_of(key)[0]}.r{root_of(replaced[edge.child])[1]}"
            edges[name] = LeafEdge(
                parent=replaced[edge.parent],
                child=replaced[edge.child],
                needs=edge.needs,
            )
    return edges
