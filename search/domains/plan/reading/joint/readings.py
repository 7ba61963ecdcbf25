"""A graph of jobs that the learned model read, as a reading: the way from words to requests."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.domains.plan.reading.accounting.words import left_over
from search.domains.plan.reading.answers import settings_of
from search.domains.plan.reading.binding.conversion import plain
from search.domains.plan.reading.drafting.draft import Draft, Drafts, Setting
from search.domains.plan.reading.graphs.types import (
    Operator,
    ReadGraph,
    ReadJob,
    ReadPart,
    ReadValue,
    Words,
)
from search.domains.plan.reading.joint.numbers import number_at
from search.domains.plan.reading.joint.place import Place, place_of
from search.domains.plan.reading.joint.relations import (
    is_a_chain,
    is_related,
    job_named,
    names_the_same,
    related,
    says_how_often,
)
from search.domains.plan.reading.joint.requests import MAIN_FILES, intent_of, refused
from search.domains.plan.reading.joint.values import base_of, is_text, slot_of, value_at
from search.domains.plan.reading.quantities.quantity import scaled
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import ANSWERED, FileFacts, Order, Reading, Value, Wish
from trimtab.plans import NotDone, Question, Span
from trimtab.specs.common import Spec

MAX_QUESTIONS = 3
_MOST_JOBS = 40
_NEAR = 30  # characters in front of a name


class Unusable(ValueError):
    """A graph that is no reading: why, for the choice between readings and for tests."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a graph is read with."""

    scene: Scene
    specs: Mapping[str, type[Spec]]
    files: Mapping[str, FileFacts]
    rules: Reading  # the reading by rules: its reasons and questions have better words


def reading_of(graph: ReadGraph, context: Context, answers: Mapping[str, str]) -> Reading:
    """Return the reading that a graph stands for, after some questions have been answered.

    Raises Unusable for a graph with a value that its words do not state, a file that is not
    attached, or a job that the gateway would refuse: the learned reader never guesses.
    """
    if len(graph.jobs) > _MOST_JOBS:
        raise Unusable(f"jobs: expected at most {_MOST_JOBS}, got {len(graph.jobs)}")
    wishes = _wishes(graph, context)
    wishes = _answered(wishes, context, answers)
    for wish in wishes:
        if (why := refused(wish, context.specs)) is not None:
            raise Unusable(why)
    scene = context.scene
    not_done = _parts(graph, wishes, context)
    _account(scene, [span for w in wishes for span in _spans_of(w)])
    _account(scene, [span for part in not_done for span in part.spans])
    questions = tuple(_questions(graph, wishes, context, answers))
    if not wishes and not not_done and not questions:
        raise Unusable("jobs: expected at least one job, question or part not done")
    return Reading(
        goal=scene.text.goal,
        wishes=wishes,
        order=tuple(_order(graph, context)),
        not_done=not_done,
        questions=questions[:MAX_QUESTIONS],
        not_understood=scene.spans(left_over(scene)),
        notes=context.scene.text.notes,
    )


def _wishes(graph: ReadGraph, context: Context) -> tuple[Wish, ...]:
    known: list[dict[str, Value]] = []
    for job in graph.jobs:
        if job.kind not in context.specs:
            raise Unusable(f"kind: expected one of this server's, got {job.kind!r}")
        known.append(_with_widths(dict(_direct(job, context))))
    for _ in range(2):  # a relation may lead to another relation
        for index, job in enumerate(graph.jobs):
            for value in job.values:
                if value.path not in known[index]:
                    made = _made(value, index, graph.jobs, known, context)
                    if made is not None:
                        known[index][value.path] = made
    for index, job in enumerate(graph.jobs):
        for value in job.values:
            if value.path not in known[index]:
                raise Unusable(f"{value.path}: its words state no value for it")
    groups = _groups(graph, context)
    return tuple(
        _wish(job, list(known[index].values()), groups[index], context)
        for index, job in enumerate(graph.jobs)
    )


def _direct(job: ReadJob, context: Context) -> Iterator[tuple[str, Value]]:
    """Yield the values that the words state by themselves."""
    for value in job.values:
        spans = _spans(value.words)
        if _is_quoted(value, job.kind, context.scene):
            raise Unusable(
                f"{value.path}: its words are quoted, and quoted words are data"
            )
        if _in_braces(value, context.scene):
            raise Unusable(f"{value.path}: its words stand in braces, which is no text")
        if value.path == "name" and _titles_a_report(value, context.scene):
            raise Unusable("name: a title of the report is no name of a job")
        if value.closed:
            yield value.path, Value(path=value.path, value=value.value, spans=spans)
            continue
        places = _places(value.words, context.scene)
        if value.operator is not None or not places:
            continue
        slot = slot_of(
            context.scene.lexicon, context.specs, job.kind, base_of(value.path)
        )
        counted = slot is not None and slot.dimension is not None
        if slot is not None and counted and any(is_related(p, slot) for p in places):
            continue
        if not counted and any(map(names_the_same, places)):
            continue
        read = value_at(
            places, job.kind, value.path, context.scene.lexicon, context.specs
        )
        if value.path == "webhook.url" and read not in _called(context.rules):
            raise Unusable("webhook.url: the rules find no words that ask for this call")
        if read is not None and read is not NotImplemented:
            yield value.path, Value(path=value.path, value=read, spans=spans)


def _called(rules: Reading) -> set[Any]:
    """Return the addresses that the rules read: no other one is ever called."""
    paths = ("webhook", "webhook.url")
    return {v.value for wish in rules.wishes for v in wish.values if v.path in paths}


def _in_braces(value: ReadValue, scene: Scene) -> bool:
    """Return whether a value's words begin inside a marker such as `{0.name}`."""
    return any(scene.text.goal[max(0, w.start - 1) : w.start] == "{" for w in value.words)


def _titles_a_report(value: ReadValue, scene: Scene) -> bool:
    """Return whether a name, or the words in front of it, speak of the title of the report."""
    goal = scene.text.goal.lower()
    before = [goal[max(0, w.start - _NEAR) : w.start] for w in value.words]
    said = [goal[w.start : w.end] for w in value.words]
    return any("report" in text for text in before) or any(
        "title" in text and "report" in text for text in said
    )


def _is_quoted(value: ReadValue, kind: str, scene: Scene) -> bool:
    """Return whether a value's words all lie in quoted text; names and texts may."""
    if not value.words or is_text(kind, value.path):
        return False
    quotes = [token for token in scene.tokens if token.form is Form.QUOTE]
    return all(
        any(token.start <= place.start and place.end <= token.end for token in quotes)
        for place in _places(value.words, scene)
    )


def _with_widths(values: dict[str, Value]) -> dict[str, Value]:
    """Return the values with a width added to the lower edge: "5.15 GHz, bandwidth 200 MHz"."""
    for path, low in list(values.items()):
        above = path.removesuffix("f_lo_hz") + "f_hi_hz"
        high = values.get(above)
        if not path.endswith("f_lo_hz") or high is None:
            continue
        if high.value < low.value / 3 and high.spans != low.spans:
            values[above] = replace(high, value=scaled(low.value + high.value, 1))
    return values


def _made(
    value: ReadValue,
    index: int,
    jobs: Sequence[ReadJob],
    known: Sequence[Mapping[str, Value]],
    context: Context,
) -> Value | None:
    """Return a value that follows from that of another job, or else what its words say."""
    spans = _spans(value.words)
    kind = jobs[index].kind
    places = _places(value.words, context.scene)
    slot = slot_of(context.scene.lexicon, context.specs, kind, base_of(value.path))
    names = [tuple(job.files.values()) for job in jobs]
    named = [n for place in places if (n := job_named(place, names)) is not None]
    twin = _twin(value, index, jobs, known)
    if twin is not None and places and not any(map(is_a_chain, places)):
        return twin
    for other in _bases(value, index, jobs, named):
        base = known[other].get(value.path)
        if base is None:
            continue
        if value.operator is not None:
            made = _operated(value, base.value, places, slot)
            return (
                None if made is None else Value(path=value.path, value=made, spans=spans)
            )
        if any(map(names_the_same, places)) and (slot is None or slot.dimension is None):
            return replace(base, spans=spans)
        if slot is not None:
            for place in places:
                made = related(place, base.value, slot)
                if made is not None:
                    return Value(path=value.path, value=made, spans=spans)
        if not places:
            return replace(base, spans=())
    if slot is None and any(map(names_the_same, places)):
        return None
    if slot is not None and slot.dimension is not None:
        linked = [p for p in places if is_related(p, slot)]
        if linked and (
            base := _before(linked[0], slot, jobs[index], known[index], context)
        ):
            made = related(linked[0], base.value, slot)
            return (
                None if made is None else Value(path=value.path, value=made, spans=spans)
            )
        if any(not says_how_often(place) for place in linked):
            return None
    read = value_at(places, kind, value.path, context.scene.lexicon, context.specs)
    if read is None or read is NotImplemented:
        return None
    return Value(path=value.path, value=read, spans=spans)


def _twin(
    value: ReadValue,
    index: int,
    jobs: Sequence[ReadJob],
    known: Sequence[Mapping[str, Value]],
) -> Value | None:
    """Return the value that an earlier job has by the same words: they say it of both."""
    if value.operator is not None:
        return None
    for before in range(index):
        for other in jobs[before].values:
            if (other.path, other.words) == (value.path, value.words):
                return known[before].get(value.path)
    return None


def _before(
    place: Place, slot: Slot, job: ReadJob, known: Mapping[str, Value], context: Context
) -> Value | None:
    """Return the last value of another field before some words: "1500 coarse, a tenth of that"."""
    found: list[tuple[int, Value]] = []
    for value in known.values():
        other = slot_of(
            context.scene.lexicon, context.specs, job.kind, base_of(value.path)
        )
        if other is None or other.dimension is not slot.dimension or not value.spans:
            continue
        at = place_of(context.scene, value.spans[-1].start, value.spans[-1].end)
        if at.end <= place.start:
            found.append((at.end, value))
    return max(found, key=lambda row: row[0])[1] if found else None


def _bases(
    value: ReadValue, index: int, jobs: Sequence[ReadJob], named: Sequence[int]
) -> list[int]:
    """Return the jobs that a related value may follow from, the likeliest first."""
    if value.of is not None:
        return [value.of] if 0 <= value.of < len(jobs) and value.of != index else []
    kind = jobs[index].kind
    others = [i for i in range(len(jobs)) if i != index]
    return sorted(
        others,
        key=lambda i: (i not in named, jobs[i].kind != kind, i > index, abs(i - index)),
    )


def _operated(
    value: ReadValue, base: Any, places: Sequence[Place], slot: Slot | None
) -> Any | None:
    """Return what an operator makes of another job's value; None where its words state no size."""
    number = isinstance(base, int | float) and not isinstance(base, bool)
    if value.operator is Operator.SAME:
        return base
    if not number or slot is None:
        return None
    if value.operator is Operator.NEXT:
        return base + 1
    if value.operator is Operator.TIMES:
        made = scaled(float(base), value.argument)
        return plain(made, is_integer=slot.is_integer and made.is_integer())
    sizes = [abs(size) for p in places if (size := number_at(p, slot)) is not None]
    if not sizes:
        return None
    sign = -1.0 if value.argument < 0 else 1.0
    return plain(scaled(base + sign * sizes[-1], 1), is_integer=slot.is_integer)


def _wish(job: ReadJob, values: list[Value], group: int, context: Context) -> Wish:
    for place, name in job.files.items():
        if name not in context.files:
            raise Unusable(f"{place}: expected an attached file, got {name!r}")
    spans = [
        span for name in job.files.values() for span in _mentions(name, context.scene)
    ]
    stated = [span for value in values for span in value.spans]
    files = {place: job.files[place] for place in sorted(job.files)}
    return Wish(
        kind=job.kind,
        intent=intent_of(job.kind, values, files, job.outputs),
        files=files,
        outputs=dict(job.outputs),
        values=tuple(values),
        spans=tuple(dict.fromkeys(spans or stated[:1])),
        group=group,
    )


def _mentions(name: str, scene: Scene) -> tuple[Span, ...]:
    tokens = [
        i
        for i, token in enumerate(scene.tokens)
        if token.form is Form.FILE and token.word == name
    ]
    return scene.spans(tokens)


def _groups(graph: ReadGraph, context: Context) -> list[int]:
    """Return the goal of each job: jobs that follow each other or share a file are one."""
    groups = list(range(len(graph.jobs)))

    def join(one: int, other: int) -> None:
        old, new = sorted((groups[one], groups[other]), reverse=True)
        groups[:] = [new if group == old else group for group in groups]

    for before, after in graph.order:
        if max(before, after) < len(groups):
            join(before, after)
    for index, job in enumerate(graph.jobs):
        for producer, _ in job.outputs.values():
            if not 0 <= producer < len(groups) or producer == index:
                raise Unusable(f"outputs: expected another job's, got that of {producer}")
            join(producer, index)
        for other in range(index):
            if set(job.files.values()) & set(graph.jobs[other].files.values()):
                join(other, index)
    return groups


def _order(graph: ReadGraph, context: Context) -> Iterator[Order]:
    count = len(graph.jobs)
    for parent, child in sorted(graph.order):
        if not (0 <= parent < count and 0 <= child < count and parent != child):
            raise Unusable(f"order: expected two jobs, got {parent} before {child}")
        yield Order(
            parent=parent, child=child, needs_success=False, why="the goal's order"
        )


def _parts(
    graph: ReadGraph, wishes: Sequence[Wish], context: Context
) -> tuple[NotDone, ...]:
    """Return the parts that are not done: the model's, and the rules' where no value is."""
    read = [span for wish in wishes for span in _spans_of(wish)]
    theirs = [p for p in context.rules.not_done if not _meet(p.spans, read)]
    own: list[NotDone] = []
    for part in (_part(part, context) for part in graph.not_done):
        same = [p for p in theirs if _meet(p.spans, part.spans)]
        theirs = [p for p in theirs if p not in same]
        if not part.spans:
            continue
        spans = [*part.spans, *(span for p in same for span in p.spans)]
        whole = Span(start=min(s.start for s in spans), end=max(s.end for s in spans))
        text = context.scene.text.goal[whole.start : whole.end]
        own.append(NotDone(text=text[:200], reason=part.reason, spans=(whole,)))
    return (*own, *theirs)


def _meet(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(a.start < b.end and b.start < a.end for a in some for b in others)


def _part(part: ReadPart, context: Context) -> NotDone:
    spans = _spans(part.words)
    text = " … ".join(context.scene.text.goal[s.start : s.end] for s in spans)
    reasons: Mapping[str, str] = _table()["reasons"]
    same = next(
        (known.reason for known in context.rules.not_done if _meet(known.spans, spans)),
        None,
    )
    reason = same or reasons.get(part.tag, reasons["other"])
    return NotDone(text=text[:200], reason=reason, spans=spans)


def _questions(
    graph: ReadGraph, wishes: Sequence[Wish], context: Context, answers: Mapping[str, str]
) -> Iterator[Question]:
    rows: Mapping[str, Mapping[str, Any]] = _table()["questions"]
    by_rules = {question.about: question for question in context.rules.questions}
    for tag in graph.asks:
        if tag == "which_file":
            if (question := _which_file(wishes, context)) is not None and (
                question.about not in answers
            ):
                yield question
            continue
        if tag == "background_number":
            numbers = [q for q in by_rules.values() if q.about.startswith("number.")]
            yield from (q for q in numbers[:1] if q.about not in answers)
            continue
        row = rows.get(tag)
        if row is None or row["about"] in answers:
            continue
        jobs = [w for w in wishes if row.get("kind") in (None, w.kind)]
        free = [w for w in jobs if not {v.path for v in w.values} & set(row["free"])]
        if wishes and not free:
            continue
        options = tuple(row.get("options", ()))
        made = Question(text=row["text"], about=row["about"], options=options, spans=())
        yield by_rules.get(row["about"], made)


def _which_file(wishes: Sequence[Wish], context: Context) -> Question | None:
    open_ = [w for w in wishes if not _has_main_file(w)]
    if not open_:
        return None
    taken = {name for wish in wishes for name in wish.files.values()}
    names = [name for name in context.files if name not in taken]
    return Question(
        text="Which file is it about?",
        about="file",
        options=tuple(names[:5]),
        spans=open_[0].spans,
    )


def _has_main_file(wish: Wish) -> bool:
    field = MAIN_FILES.get(wish.kind)
    if field is None or field in wish.files or field in wish.outputs:
        return True
    return any(
        value.path.startswith(("spec.tables.", "spec.model_text"))
        for value in wish.values
    )


def _answered(
    wishes: Sequence[Wish], context: Context, answers: Mapping[str, str]
) -> tuple[Wish, ...]:
    """Return the jobs with what the owner answered, read by the rules' own grammar."""
    if not answers:
        return tuple(wishes)
    named = answers.get("file", "").strip()
    file = next((name for name in context.files if name.lower() in named.lower()), None)
    drafts = Drafts()
    for index, wish in enumerate(wishes):
        settings = {
            v.path: Setting(value=v.value, tokens=(), note=v.note) for v in wish.values
        }
        drafts.jobs.append(
            Draft(
                leaf=index,
                kind=wish.kind,
                files=dict(wish.files),
                settings=settings,
                mentions=[0],
            )
        )
    known = [draft for draft in drafts.jobs if draft.kind in context.scene.lexicon.slots]
    settings_of(context.scene, Drafts(jobs=known), answers)
    made = []
    for wish, draft in zip(wishes, drafts.jobs, strict=True):
        stated = {value.path: value for value in wish.values}
        for path, setting in draft.settings.items():
            again = "settings" in answers and path in stated
            if setting.note.startswith(ANSWERED) and path[0] != "_" and not again:
                stated[path] = Value(
                    path=path, value=setting.value, spans=(), note=setting.note
                )
        if any(path == "spec.runs" for path in stated):
            stated = {p: v for p, v in stated.items() if not p.startswith("spec.runs.")}
        files = dict(wish.files)
        if file is not None and not _has_main_file(wish):
            files[MAIN_FILES[wish.kind]] = file
        made.append(replace(wish, values=tuple(stated.values()), files=files))
    return tuple(made)


def _account(scene: Scene, spans: Sequence[Span]) -> None:
    for span in spans:
        place = place_of(scene, span.start, span.end)
        scene.use(place.tokens, "read")


def _spans_of(wish: Wish) -> Iterator[Span]:
    yield from wish.spans
    for value in wish.values:
        yield from value.spans


def _places(words: Sequence[Words], scene: Scene) -> list[Place]:
    return [place_of(scene, each.start, each.end) for each in words]


def _spans(words: Sequence[Words]) -> tuple[Span, ...]:
    return tuple(Span(start=each.start, end=each.end) for each in words)


@functools.cache
def _table() -> Mapping[str, Any]:
    file = importlib.resources.files("search.domains.plan.reading.joint") / "parts.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
