"""Candidates of one leaf: what a template makes of a wish."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from search.domains.plan.outline.paths import MISSING, get, in_order, put
from search.domains.plan.outline.templates import Ask, Template
from search.domains.plan.types import FileFacts, Wish
from trimtab.plans import LEAF_FILE, Repair, Span

ENVELOPE = (
    "spec",
    "budget",
    "seed",
    "priority",
    "name",
    "labels",
    "max_attempts",
    "webhook",
    "model",
)
_FILES = ("model", "tables_file", "source")  # fields that take a job's main file


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A leaf that may be chosen for a wish."""

    source: Literal["template", "model"]
    id: str  # template, or number of the model's candidate
    template: Template  # gives post-conditions, repairs and words
    kind: str
    # The envelope's parts: `{"spec": …, "budget": …, "seed": …}`. A file that another leaf makes is
    # `{"leaf": index of its wish as text, "output": name}`.
    request: dict[str, Any]
    spans: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    answered: dict[str, Any] = field(default_factory=dict)  # values of answers, by path
    missing: tuple[Ask, ...] = ()  # required values that neither goal nor default binds
    unused: tuple[str, ...] = ()  # values of the wish that it leaves out
    logprob: float | None = None  # of a model's candidate, per token

    @property
    def context(self) -> dict[str, Any]:
        """Subjects of conditions, before there is a result."""
        return dict(self.request)


def bound_request(
    wish: Wish, files: Mapping[str, FileFacts]
) -> tuple[dict[str, Any], dict[str, tuple[Span, ...]]]:
    """Return what the goal states for a job, and the words that state it.

    Raises ValueError for a file that is not attached, or a path that cannot be.
    """
    request: dict[str, Any] = {"spec": {}, "budget": {}}
    spans: dict[str, tuple[Span, ...]] = {"kind": wish.spans}
    for place, name in wish.files.items():
        if name not in files:
            raise ValueError(f"{place}: expected one of the attached files, got {name!r}")
        put(request, f"spec.{place}", {"digest": files[name].digest, "name": name})
    for place, (producer, output) in wish.outputs.items():
        put(request, f"spec.{place}", {LEAF_FILE: str(producer), "output": output})
    for value in sorted(wish.values, key=lambda value: in_order(value.path)):
        if value.path.partition(".")[0] not in ENVELOPE:
            raise ValueError(
                f"{value.path}: expected a path below {', '.join(ENVELOPE)}; it is no part of a job"
            )
        put(request, value.path, copy.deepcopy(value.value))
        spans[value.path] = value.spans
    return request, spans


def from_template(
    template: Template,
    wish: Wish,
    request: Mapping[str, Any],
    spans: Mapping[str, tuple[Span, ...]],
) -> Candidate:
    """Return a template's leaf for a wish: stated values, then defaults for what is open."""
    made: dict[str, Any] = copy.deepcopy(dict(request))
    defaults: dict[str, str] = {}
    for default in template.defaults:
        if get(made, default.path) is not MISSING or not _beside(made, default.path):
            continue
        if all(condition.holds(made) for condition in default.when):
            put(made, default.path, default.value)
            defaults[default.path] = default.words
    asks = {ask.path: ask for ask in template.asks}
    missing = tuple(
        asks.get(path) or _plain_ask(path)
        for path in template.requires
        if get(made, path) is MISSING
    )
    return Candidate(
        source="template",
        id=template.id,
        template=template,
        kind=wish.kind,
        request=made,
        spans=dict(spans),
        defaults=defaults,
        missing=missing,
    )


def with_answers(candidate: Candidate, answers: Mapping[str, Any]) -> Candidate:
    """Return a candidate with the owner's answers to its own questions.

    answers: by `Ask.about`. Numbers count; words are the reader's to understand, and what it
        could not read is asked again.
    """
    answered = [
        ask
        for ask in candidate.missing
        if isinstance(answers.get(ask.about), int | float)
        and not isinstance(answers[ask.about], bool)
    ]
    if not answered:
        return candidate
    request = copy.deepcopy(candidate.request)
    values = {ask.path: answers[ask.about] for ask in answered}
    for path, value in values.items():
        put(request, path, value)
    return replace(
        candidate,
        request=request,
        spans={**candidate.spans, **dict.fromkeys(values, ())},
        answered=values,
        missing=tuple(ask for ask in candidate.missing if ask not in answered),
    )


def allowed_repairs(candidate: Candidate, wish: Wish) -> tuple[Repair, ...]:
    """Return the repairs that change nothing which the goal states or rules out."""
    stated = set(candidate.spans)
    ruled_out = set(wish.removed)
    return tuple(
        repair
        for repair in candidate.template.repairs
        if not any(
            path in stated or f"{path}={value}" in ruled_out
            for path, value in repair.set.items()
        )
    )


def _beside(request: Mapping[str, Any], path: str) -> bool:
    """Return whether a default has its place: an entry of a list exists only once it is stated."""
    way = path.split(".")
    numbers = [index for index, word in enumerate(way) if word.isdecimal()]
    return all(get(request, ".".join(way[: i + 1])) is not MISSING for i in numbers)


def _plain_ask(path: str) -> Ask:
    field = path.removeprefix("spec.")
    if field in _FILES:
        return Ask(path=path, about="file", text="Which file is it about?", options=())
    return Ask(path=path, about=field, text=f"What is {field}?", options=())
