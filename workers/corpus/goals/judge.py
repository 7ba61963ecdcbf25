"""Judge of outlines: is a plan the reference graph? It shares no code with the planner.

Leaves and reference jobs are paired by maximal weight (same kind, then equal slots) with the
Hungarian method (`scipy.optimize.linear_sum_assignment`). Rules of comparison:
`tests/search/domains/plan/goals/README.md`, "How to compare".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from trimtab.outlines import open_questions
from trimtab.plans import Leaf, NotDone, Outline
from workers.corpus.goals.references import (
    Goal,
    Graph,
    Job,
    Produced,
    answered,
    schema_default,
)

_SETS = ("neighbourhoods", "no_split")
_WORD = re.compile(r"[^\W_]{2,}")
# What `Question.about` of the planner asks for, by the references' tags; the beginning before a
# point decides where the whole is not listed.
TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "file": ("which_file",),
        "avoid": ("bands",),
        "kind": ("goal",),
        "size": ("goal",),
        "budget.seconds": ("time_limit", "unit"),
        "target.triple": ("target",),
        "devices.hardware": ("devices.hardware",),
        "number": ("background_number", "time_limit", "unit", "condition", "settings"),
        "word": ("engine", "devices.hardware", "quoted", "target", "objective"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Differences of a plan from a reference graph."""

    texts: tuple[str, ...]
    met: int  # slots and files of the reference that the plan has
    meant: int  # slots and files of the plan that the reference has
    planned: int  # slots and files of the plan
    wanted: int  # slots and files of the reference


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Verdict on a plan of one goal."""

    right: bool
    faults: tuple[str, ...]
    questions: tuple[str, ...]  # tags
    met: int = 0
    meant: int = 0
    planned: int = 0
    wanted: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Result of the planner for a goal: an outline, or a refusal."""

    outline: Outline | None
    refusal: str = ""

    @property
    def abouts(self) -> tuple[str, ...]:
        """Jobs and questions of a plan, in its own words."""
        if self.outline is None:
            return ()
        open_ = open_questions(self.outline)
        return tuple(self.outline.questions[name].about for name in open_)

    @property
    def not_done(self) -> Sequence[NotDone]:
        """Parts that the plan shows as not done."""
        return () if self.outline is None else self.outline.not_done


def tag_of(goal: Goal, about: str) -> str:
    """Return the references' tag of a question; one that the goal allows where several fit."""
    about = about.removeprefix("scope.").removeprefix("spec.").replace(".0.", ".")
    tags = TAGS.get(about) or TAGS.get(about.partition(".")[0])
    if tags is None:
        tags = ("bands",) if about.startswith("bands") else (about,)
    allowed = goal.must_ask | goal.may_ask
    return next((tag for tag in tags if tag in allowed), tags[0])


def judge(goal: Goal, plan: Plan, answers: frozenset[str] = frozenset()) -> Judgement:
    """Return the verdict after some questions have been answered.

    A plan that still asks is judged by what it asks alone: its graph is not complete.
    """
    least: Faults | None = None
    for graph in goal.graphs:
        faults = compare(answered(goal, graph, answers), plan.outline)
        if least is None or len(faults.texts) < len(least.texts):
            least = faults
    if least is None:
        raise ValueError(f"{goal.id}: expected at least one graph, got none")
    texts = list(least.texts)
    allowed = goal.must_ask | goal.may_ask
    question_tags = tuple(tag_of(goal, about) for about in plan.abouts)
    if question_tags:
        texts = [] if goal.graphs[0].jobs else texts
        texts += [f"asks {tag}" for tag in question_tags if tag not in allowed]
    texts += [
        f"does not name {tag} ({words!r})"
        for tag, words in goal.not_done.items()
        if not names(goal.text, words, plan)
    ]
    texts += [f"did not ask {tag}" for tag in goal.must_ask - answers - {*question_tags}]
    return Judgement(
        right=not texts and (not question_tags or not goal.graphs[0].jobs),
        faults=tuple(texts),
        questions=question_tags,
        met=least.met,
        meant=least.meant,
        planned=least.planned,
        wanted=least.wanted,
    )


def names(goal: str, words: str, plan: Plan) -> bool:
    """Return whether a plan shows words of a part of the goal as not done.

    A span counts when it covers a word of that part; text without a span when it has one of its
    longer words.
    """
    start = goal.find(words)
    places = {
        (start + match.start(), start + match.end()) for match in _WORD.finditer(words)
    }
    long = {word.lower() for word in _WORD.findall(words) if len(word) > 3} or {
        word.lower() for word in _WORD.findall(words)
    }
    for part in plan.not_done:
        for span in part.spans:
            if any(span.start < end and begin < span.end for begin, end in places):
                return True
        if not part.spans and long & {w.lower() for w in _WORD.findall(part.text)}:
            return True
    return bool(long & {word.lower() for word in _WORD.findall(plan.refusal)})


def compare(graph: Graph, outline: Outline | None) -> Faults:
    """Return how the enabled leaves and edges of an outline differ from a graph."""
    leaves = (
        {}
        if outline is None
        else {n: leaf for n, leaf in outline.leaves.items() if leaf.enabled}
    )
    names_ = list(leaves)
    rows = [_Slots.of(leaves[name]) for name in names_]
    weights = np.array([[_weight(job, row) for row in rows] for job in graph.jobs])
    pairs: dict[str, str] = {}
    if weights.size:
        for i, j in zip(*linear_sum_assignment(weights, maximize=True), strict=True):
            if weights[i, j] > 0:
                pairs[graph.jobs[i].name] = names_[j]
    texts: list[str] = []
    met = meant = 0
    for job in graph.jobs:
        if job.name not in pairs:
            texts.append(f"no leaf for job {job.name} ({job.kind})")
            continue
        row = rows[names_.index(pairs[job.name])]
        faults, agreed = _differences(job, row, pairs)
        texts += [f"{job.name}: {text}" for text in faults]
        met += len(agreed)
        meant += sum(
            any(path == p or path.startswith(f"{p}.") for p in agreed)
            for path in (*row.values, *row.files)
        )
    texts += [
        f"{name} ({leaves[name].kind}) is no job of the goal"
        for name in names_
        if name not in pairs.values()
    ]
    wanted_edges = reduced((pairs.get(a, a), pairs.get(b, b)) for a, b in graph.order)
    planned_edges = reduced(_edges(outline, leaves)) if outline is not None else set()
    texts += [f"no order {a} before {b}" for a, b in wanted_edges - planned_edges]
    texts += [
        f"order {a} before {b} is not asked" for a, b in planned_edges - wanted_edges
    ]
    return Faults(
        texts=tuple(texts),
        met=met,
        meant=meant,
        planned=sum(len(row.values) + len(row.files) for row in rows),
        wanted=sum(len(_wanted(job)) + len(job.files) for job in graph.jobs),
    )


@dataclass(frozen=True, kw_only=True)
class _Slots:
    """Values and files of a leaf by path; lists of scalars are one value."""

    kind: str
    request: Mapping[str, Any]
    values: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, leaf: Leaf) -> _Slots:
        request = leaf.request
        values: dict[str, Any] = {}
        files: dict[str, Mapping[str, Any]] = {}
        for path, value in _flat(request, ""):
            if isinstance(value, Mapping):
                files[path] = value
            elif not _is_default(leaf.kind, path, value):
                values[path] = value
        return cls(kind=leaf.kind, request=request, values=values, files=files)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        if "digest" in value or "leaf" in value:
            yield path, value
            return
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple) and any(isinstance(p, Mapping) for p in value):
        for index, part in enumerate(value):
            yield from _flat(part, f"{path}.{index}")
    else:
        yield path, value


def _is_default(kind: str, path: str, value: Any) -> bool:
    try:
        return any(
            same(path, default, value) or value is None
            for default in schema_default(kind, path)
        )
    except ValueError:
        return False


def _wanted(job: Job) -> dict[str, tuple[Any, ...]]:
    """Return the right values of each slot; None among them: it may stay unset."""
    settings = {}
    for path, value in job.set.items():
        unset = (None,) if _is_default(job.kind, path, value) else ()
        settings[path] = (value, *unset)
    return {**settings, **job.any_of}


def _weight(job: Job, row: _Slots) -> float:
    """Return 0 for another kind, else 1 and a share for what agrees."""
    if job.kind != row.kind:
        return 0.0
    total, agreed = 0, 0
    for path, values in _wanted(job).items():
        total += 1
        agreed += _agrees(path, values, row)
    for path, file in job.files.items():
        total += 1
        got = row.files.get(path, {})
        if isinstance(file, Produced):
            agreed += got.get("output") == file.output and "leaf" in got
        else:
            agreed += 2 * (got.get("name") == file)  # a file says more than a number
    extra = len(set(row.values) - set(_wanted(job)))
    return 1.0 + (agreed - 0.1 * extra) / (2 * total + 1)


def _agrees(path: str, values: Sequence[Any], row: _Slots) -> bool:
    got = _get(row.request, path)
    if got is None or _is_default(row.kind, path, got):
        if None in values:
            return True
        if got is None:
            return False
    return any(same(path, value, got) for value in values if value is not None)


def _differences(
    job: Job, row: _Slots, pairs: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return what differs, and the paths of the reference's slots and files that agree."""
    texts: list[str] = []
    agreed: list[str] = []
    expected = _wanted(job)
    for path, values in expected.items():
        if _agrees(path, values, row):
            agreed.append(path)
        else:
            got = _get(row.request, path)
            texts.append(f"{path}: expected {values[0]!r}, got {got!r}")
    for path, file in job.files.items():
        reference = row.files.get(path, {})
        if isinstance(file, Produced):
            fits = (
                reference.get("leaf") == pairs.get(file.job)
                and reference.get("output") == file.output
            )
        else:
            fits = reference.get("name") == file
        if fits:
            agreed.append(path)
        else:
            texts.append(f"{path}: expected file {file}, got {dict(reference)}")
    whole = {p for p, values in expected.items() if {} not in values}
    for path in row.values:
        covered = path in expected or any(path.startswith(f"{p}.") for p in whole)
        inside = any(p.startswith(f"{path}.") for p in expected)
        if not covered and not inside:
            texts.append(f"{path}: {row.values[path]!r} is not in the goal")
    texts += [
        f"{path}: file {dict(row.files[path])} is not in the goal"
        for path in row.files
        if path not in job.files
    ]
    return texts, agreed


def _get(value: Any, path: str) -> Any:
    for word in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(word)
        elif isinstance(value, list | tuple) and word.isdigit():
            value = value[int(word)] if int(word) < len(value) else None
        else:
            return None
    return value


def same(path: str, one: Any, other: Any) -> bool:
    """Return whether two values agree: numbers within 1e-6, some lists as sets.

    An empty object agrees with any other: what is inside has paths of its own.
    """
    if one == {} and isinstance(other, Mapping):
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=0.0)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if path.endswith(_SETS) or path.rpartition(".")[0].endswith("together"):
            return sorted(map(str, one)) == sorted(map(str, other))
        return len(one) == len(other) and all(
            same(path, a, b) for a, b in zip(one, other, strict=True)
        )
    return bool(one == other)


def _edges(outline: Outline, leaves: Mapping[str, Leaf]) -> Iterator[tuple[str, str]]:
    for edge in outline.edges.values():
        if edge.parent in leaves and edge.child in leaves:
            yield edge.parent, edge.child
    for name, leaf in leaves.items():
        for file in _Slots.of(leaf).files.values():
            if "leaf" in file:
                yield str(file["leaf"]), name


def reduced(edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges without those that follow from others (transitive reduction of a DAG)."""
    every = set(edges)

    def implied(edge: tuple[str, str]) -> bool:
        start, goal = edge
        seen, left = {start}, [c for p, c in every if p == start and c != goal]
        while left:
            name = left.pop()
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                left += [child for parent, child in every if parent == name]
        return False

    return {edge for edge in every if not implied(edge)}
