"""What two readings say, compared: jobs side by side, values that differ, order, parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.domains.plan.outline.filters import schema_defaults
from search.domains.plan.reading.joint.requests import request_of
from search.domains.plan.types import Reading, Wish
from trimtab.estimates import DEFAULT_BUDGET_S
from trimtab.plans import Span
from trimtab.specs.common import Spec

_SETS = ("neighbourhoods", "no_split")
_ENVELOPE: Mapping[str, Any] = {
    "seed": 0,
    "priority": 0,
    "max_attempts": 3,
    "budget.seconds": DEFAULT_BUDGET_S,
    "model": "auto",
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """A job as its request is: what a reading adds to the defaults."""

    kind: str
    values: Mapping[str, Any]  # lists of scalars are one value
    files: Mapping[str, str]
    outputs: Mapping[str, tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A job of one reading beside the same job of another, by their indices."""

    one: int
    other: int
    only_one: tuple[str, ...]  # paths
    only_other: tuple[str, ...]
    differing: tuple[str, ...]
    agreeing: int
    files_differ: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two readings differ."""

    pairs: tuple[Pair, ...]
    alone: tuple[int, ...]  # jobs of the first that have no pair
    other_alone: tuple[int, ...]
    order_differs: bool
    parts_alone: int  # of the first
    parts_other_alone: int
    questions_differ: bool
    forms: tuple[Form, ...] = field(repr=False)
    other_forms: tuple[Form, ...] = field(repr=False)

    @property
    def same_jobs(self) -> bool:
        """Return whether the jobs are paired one to one."""
        return not self.alone and not self.other_alone

    @property
    def same_graph(self) -> bool:
        """Return whether jobs, values, files and order are equal."""
        return (
            self.same_jobs
            and not self.order_differs
            and not any(
                p.only_one or p.only_other or p.differing or p.files_differ
                for p in self.pairs
            )
        )

    @property
    def same(self) -> bool:
        """Return whether the readings say the same: parts not done and questions too."""
        parts = self.parts_alone + self.parts_other_alone
        return self.same_graph and not parts and not self.questions_differ


def form_of(wish: Wish, specs: Mapping[str, type[Spec]]) -> Form:
    """Return what a job's request adds to the defaults."""
    values: dict[str, Any] = {}
    if wish.kind in specs:
        defaults = {**_ENVELOPE, **schema_defaults(specs[wish.kind])}
        try:
            request = request_of(wish)
        except ValueError:
            request = {value.path: value.value for value in wish.values}
        for path, value in _flat(request, ""):
            base = ".".join("0" if word.isdigit() else word for word in path.split("."))
            if value is None or (base in defaults and same(path, defaults[base], value)):
                continue
            values[path] = value
    return Form(
        kind=wish.kind, values=values, files=dict(wish.files), outputs=dict(wish.outputs)
    )


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        if "digest" in value or "job" in value:
            return
        if not value and path not in ("spec", "budget", ""):
            yield path, value
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(p, Mapping) for p in value):
        for index, part in enumerate(value):
            yield from _flat(part, f"{path}.{index}")
    else:
        yield path, value


def same(path: str, one: Any, other: Any) -> bool:
    """Return whether two values are one: numbers within 1e-6, some lists as sets."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if path.endswith(_SETS):
            return sorted(map(str, one)) == sorted(map(str, other))
        return len(one) == len(other) and all(
            same(path, a, b) for a, b in zip(one, other, strict=True)
        )
    return bool(one == other)


def compared(one: Reading, other: Reading, specs: Mapping[str, type[Spec]]) -> Comparison:
    """Return how a reading differs from another one."""
    forms = tuple(form_of(wish, specs) for wish in one.wishes)
    others = tuple(form_of(wish, specs) for wish in other.wishes)
    matched = _matched(forms, others)
    place = dict(matched)
    pairs = tuple(_pair(i, j, forms[i], others[j], place) for i, j in matched)
    edges = {(place.get(a, -1 - a), place.get(b, -1 - b)) for a, b in _edges(one, forms)}
    return Comparison(
        pairs=pairs,
        alone=tuple(i for i in range(len(forms)) if i not in place),
        other_alone=tuple(j for j in range(len(others)) if j not in place.values()),
        order_differs=_reduced(edges) != _reduced(_edges(other, others)),
        parts_alone=_alone(one, other),
        parts_other_alone=_alone(other, one),
        questions_differ=subjects(one) != subjects(other),
        forms=forms,
        other_forms=others,
    )


def subjects(reading: Reading) -> set[str]:
    """Return what a reading asks about."""
    return {q.about.removeprefix("spec.").replace(".0.", ".") for q in reading.questions}


def _matched(forms: Sequence[Form], others: Sequence[Form]) -> list[tuple[int, int]]:
    """Return pairs of jobs, the likest first taken; jobs of two kinds are no pair."""
    scores = sorted(
        (
            (-_likeness(form, other), abs(i - j), i, j)
            for i, form in enumerate(forms)
            for j, other in enumerate(others)
            if form.kind == other.kind
        )
    )
    taken: dict[int, int] = {}
    for _, _, i, j in scores:
        if i not in taken and j not in taken.values():
            taken[i] = j
    return sorted(taken.items())


def _likeness(form: Form, other: Form) -> float:
    paths = set(form.values) | set(other.values)
    agreeing = sum(
        path in form.values
        and path in other.values
        and same(path, form.values[path], other.values[path])
        for path in paths
    )
    files = sum(other.files.get(place) == name for place, name in form.files.items())
    return 3.0 * files + agreeing / (len(paths) or 1)


def _pair(i: int, j: int, form: Form, other: Form, place: Mapping[int, int]) -> Pair:
    ours, theirs = form.values, other.values
    shared = [path for path in ours if path in theirs]
    outputs = {p: (place.get(maker), name) for p, (maker, name) in form.outputs.items()}
    return Pair(
        one=i,
        other=j,
        only_one=tuple(path for path in ours if path not in theirs),
        only_other=tuple(path for path in theirs if path not in ours),
        differing=tuple(p for p in shared if not same(p, ours[p], theirs[p])),
        agreeing=sum(same(p, ours[p], theirs[p]) for p in shared),
        files_differ=form.files != other.files or outputs != other.outputs,
    )


def _edges(reading: Reading, forms: Sequence[Form]) -> set[tuple[int, int]]:
    stated = {(row.parent, row.child) for row in reading.order}
    return stated | {
        (maker, index)
        for index, form in enumerate(forms)
        for maker, _ in form.outputs.values()
    }


def _reduced(edges: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the edges without those that follow from others."""
    every = set(edges)

    def implied(edge: tuple[int, int]) -> bool:
        seen, left = {edge[0]}, [c for p, c in every if p == edge[0] and c != edge[1]]
        while left:
            at = left.pop()
            if at == edge[1]:
                return True
            if at not in seen:
                seen.add(at)
                left += [child for parent, child in every if parent == at]
        return False

    return {edge for edge in every if not implied(edge)}


def _alone(one: Reading, other: Reading) -> int:
    theirs = [span for part in other.not_done for span in part.spans]
    return sum(
        not any(_overlap(span, each) for span in part.spans for each in theirs)
        for part in one.not_done
    )


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
