"""An outline from a reading, breadth first: goals, then stages, then leaves.

As in DOC (arXiv 2212.10077, section 3.1), each node has several candidates, filters remove some,
and the best of the rest stays. Candidates of a leaf come from templates and from the language
model; the choice among them is lexicographic, so that it can be explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.domains.plan.outline import candidates as making
from search.domains.plan.outline import order
from search.domains.plan.outline.candidates import Candidate
from search.domains.plan.outline.choice import Chosen, choose
from search.domains.plan.outline.decide import own_questions, typed
from search.domains.plan.outline.describe import read_back, title
from search.domains.plan.outline.filters import Place
from search.domains.plan.outline.groups import Group, groups_of, plan_of
from search.domains.plan.outline.order import Links
from search.domains.plan.outline.paths import get
from search.domains.plan.outline.templates import library
from search.domains.plan.types import ANSWERED, FileFacts, Reading, Wish
from trimtab.estimates import PastRun, seconds_of, total
from trimtab.plans import (
    LEAF_FILE,
    MAX_LEAVES,
    Goal,
    Leaf,
    LeafEdge,
    NotDone,
    Origin,
    Outline,
    Question,
    Span,
    Stage,
)
from trimtab.specs.common import Needs, Spec

# Candidates of the language model for a wish: (index, template's candidates) → more candidates.
Proposer = Callable[[Place, Sequence[Candidate]], Sequence[Candidate]]
OnLeaf = Callable[[int, int], None]  # leaves done, of how many


@dataclass(frozen=True, kw_only=True)
class Material:
    """Material of an outline."""

    reading: Reading
    files: Sequence[FileFacts]
    specs: Mapping[str, type[Spec]]  # kinds that a plan may use
    answers: Mapping[str, str] = field(default_factory=dict)  # by `Question.about`
    past: Sequence[PastRun] = ()
    workers: int = 1  # jobs at once
    propose: Proposer | None = None
    on_leaf: OnLeaf = lambda done, count: None


@dataclass(kw_only=True)
class _Draft:
    """Decisions so far, by index of the wish."""

    chosen: dict[int, Chosen] = field(default_factory=dict)
    # A required value is missing
    open: dict[int, Candidate] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)  # why no candidate is left
    notes: list[str] = field(default_factory=list)


_FOR_PEOPLE = ("name", "labels", "max_attempts", "webhook", "model")


def outline_of(material: Material) -> Outline:
    """Return the outline of a reading. Its leaves are valid requests; see `decide` for the rest."""
    reading = material.reading
    links = order.links_of(reading.wishes, reading.order)
    draft = _Draft(notes=list(reading.notes))
    if links.broken:
        draft.notes.append(
            "the order that the goal states contradicts itself; it was left out where it does"
        )
    groups = groups_of(reading.wishes, links)  # depth 1
    staged = {group.number: plan_of(group, reading.wishes, links) for group in groups}
    _leaves(material, links, draft)  # depth 3, for the stages of depth 2
    return _composed(material, links, draft, groups, staged)


def _leaves(material: Material, links: Links, draft: _Draft) -> None:
    """Choose a leaf for each wish, producers of files first."""
    files = {facts.name: facts for facts in material.files}
    wishes = material.reading.wishes
    for done, index in enumerate(links.sequence):
        material.on_leaf(done, len(wishes))
        wish = wishes[index]
        if len(draft.chosen) >= MAX_LEAVES:
            draft.lost[index] = (
                f"a plan has at most {MAX_LEAVES} jobs; make another for the rest"
            )
            continue
        if wish.kind not in material.specs:
            draft.lost[index] = f"no kind of job does it: {wish.kind}"
            continue
        place = Place(
            wish=wish,
            wishes=wishes,
            index=index,
            files=files,
            specs=material.specs,
            chosen=[row.candidate for row in draft.chosen.values()],
            made={i: row.candidate.kind for i, row in draft.chosen.items()},
        )
        try:
            request, spans = making.bound_request(wish, files)
        except ValueError as error:
            draft.lost[index] = str(error)
            continue
        candidates = [
            _answered(making.from_template(template, wish, request, spans), material)
            for template in library().of(wish.kind)
            if template.fits(request)
        ]
        place = replace(place, siblings=candidates)
        if material.propose is not None:
            candidates = [*candidates, *material.propose(place, candidates)]
        best = choose(candidates, place, material.reading.goal)
        if isinstance(best, str):
            draft.lost[index] = best.partition(": ")[2] or best
        elif best.candidate.missing:
            draft.open[index] = best.candidate
        else:
            draft.chosen[index] = best
    material.on_leaf(len(wishes), len(wishes))


def _answered(candidate: Candidate, material: Material) -> Candidate:
    answers = {about: typed(text) for about, text in material.answers.items()}
    return making.with_answers(candidate, answers)


def _composed(
    material: Material,
    links: Links,
    draft: _Draft,
    groups: Sequence[Group],
    staged: Mapping[int, Mapping[int, int]],
) -> Outline:
    reading = material.reading
    shown = order.displayed(list(draft.chosen), links, reading.wishes)
    names = {index: f"l{number}" for number, index in enumerate(shown, start=1)}
    goals: dict[str, Goal] = {}
    stages: dict[str, Stage] = {}
    stage_of: dict[int, str] = {}
    listed = [[index for index in shown if index in group.members] for group in groups]
    # Goals in the order of their first jobs, or one could stand before what it waits for.
    for members, group in sorted(
        (row for row in zip(listed, groups, strict=True) if row[0]),
        key=lambda row: shown.index(row[0][0]),
    ):
        goal = f"g{len(goals) + 1}"
        rows = {index: draft.chosen[index].candidate for index in members}
        goals[goal] = Goal(
            title=group.title(rows),
            spans=_spans(reading.wishes[index].spans for index in members),
        )
        for step in sorted({staged[group.number][index] for index in members}):
            inside = [index for index in members if staged[group.number][index] == step]
            stage = f"s{len(stages) + 1}"
            words = dict.fromkeys(rows[index].template.stage for index in inside)
            stages[stage] = Stage(title=", ".join(words), goal=goal)
            stage_of |= dict.fromkeys(inside, stage)
    leaves = {
        names[index]: _leaf(material, draft.chosen[index], index, names, stage_of[index])
        for index in shown
    }
    edges = _edges(links, names)
    outline = Outline(
        goal=reading.goal,
        goals=goals,
        stages=stages,
        leaves=leaves,
        edges=edges,
        questions=_questions(reading, draft),
        not_done=(*reading.not_done, *_lost(reading, draft)),
        not_understood=reading.not_understood,
        reader=reading.reader,
        notes=tuple(dict.fromkeys([*draft.notes, *_value_notes(reading, draft)])),
    )
    return outline.model_copy(
        update={
            "understood": read_back(outline),
            "seconds": total(outline, workers=material.workers) if leaves else None,
        }
    )


def _leaf(
    material: Material, row: Chosen, index: int, names: Mapping[int, str], stage: str
) -> Leaf:
    candidate = row.candidate
    request = _named(candidate.request, names)
    return Leaf(
        title=title(candidate.template.title, request),
        stage=stage,
        kind=candidate.kind,
        spec=request["spec"],
        budget=request["budget"],
        seed=int(request.get("seed", 0)),
        priority=int(request.get("priority", 0)),
        **{name: request[name] for name in _FOR_PEOPLE if name in request},
        spans={path: spans for path, spans in candidate.spans.items() if spans},
        defaults=dict(candidate.defaults),
        answered=_answers_of(candidate, material.reading.wishes[index]),
        post=candidate.template.post,
        repair=making.allowed_repairs(candidate, material.reading.wishes[index]),
        seconds=seconds_of(candidate.kind, request["budget"], material.past),
        origin=Origin(source=candidate.source, id=candidate.id, rivals=row.rivals),
    )


def _answers_of(candidate: Candidate, wish: Wish) -> dict[str, str]:
    """Return the owner's answers that values of a leaf come from, by path."""
    read = {
        value.path: (value.value, value.note.removeprefix(ANSWERED))
        for value in wish.values
        if value.note.startswith(ANSWERED)
    }
    own = {path: (value, str(value)) for path, value in candidate.answered.items()}
    return {
        path: text
        for path, (value, text) in (read | own).items()
        if get(candidate.request, path) == value
    }


def _named(value: Any, names: Mapping[int, str]) -> Any:
    """Replace indices of wishes by ids of leaves."""
    if isinstance(value, Mapping):
        return {
            name: names[int(part)] if name == LEAF_FILE else _named(part, names)
            for name, part in value.items()
        }
    return [_named(part, names) for part in value] if isinstance(value, list) else value


def _edges(links: Links, names: Mapping[int, str]) -> dict[str, LeafEdge]:
    rows = [
        LeafEdge(
            parent=names[parent],
            child=names[child],
            needs=Needs.SUCCESS if success else Needs.DONE,
        )
        for (parent, child), success in links.orders.items()
        if parent in names and child in names
    ]
    return {f"e{number}": row for number, row in enumerate(rows, start=1)}


def _questions(reading: Reading, draft: _Draft) -> dict[str, Question]:
    questions = own_questions(
        reading, [draft.open[index] for index in sorted(draft.open)]
    )
    return {f"q{number}": question for number, question in enumerate(questions, start=1)}


def _lost(reading: Reading, draft: _Draft) -> list[NotDone]:
    return [
        NotDone(
            text=_text(reading, reading.wishes[index].spans)
            or reading.wishes[index].kind,
            reason=why,
            spans=reading.wishes[index].spans,
        )
        for index, why in sorted(draft.lost.items())
    ]


def _value_notes(reading: Reading, draft: _Draft) -> list[str]:
    return [
        value.note
        for index in sorted(draft.chosen)
        for value in reading.wishes[index].values
        if value.note and not value.note.startswith(ANSWERED)
    ]


def _text(reading: Reading, spans: Sequence[Span]) -> str:
    return " … ".join(reading.goal[span.start : span.end] for span in spans)


def _spans(parts: Iterable[Sequence[Span]]) -> tuple[Span, ...]:
    every = {(span.start, span.end): span for part in parts for span in part}
    return tuple(every[key] for key in sorted(every))
