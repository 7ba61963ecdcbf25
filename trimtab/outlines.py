"""Outlines for people: each value with the words it comes from, and the whole as text.

Pages, notebooks and the command line show the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.plans import LEAF_FILE, Leaf, Origin, Outline, Seconds, Span
from trimtab.specs.common import MODEL_AUTO

MAX_UNFOLDED = 4  # entries of a list of objects; longer lists are counted
MAX_TEXT = 120  # characters of one value


@dataclass(frozen=True, kw_only=True)
class LeafValue:
    """A value of a leaf's request, and where it comes from."""

    path: str
    """Dotted path in the request: `spec.devices.0.count`."""
    value: Any
    """The value, as JSON has it."""
    text: str
    """The value for people."""
    spans: tuple[Span, ...] = ()
    """Words of the goal that it comes from."""
    words: str = ""
    """The same as text; empty without any."""
    default: str = ""
    """Why it was chosen although the goal leaves it open, in words."""
    answer: str = ""
    """Answer of the owner that it comes from."""


def values_of(outline: Outline, leaf: Leaf) -> list[LeafValue]:
    """Return the values of a leaf: its spec, its budget, and what is set of the envelope."""
    request: dict[str, Any] = {"spec": leaf.spec, "budget": dict(leaf.budget)}
    for part, value in leaf.request.items():
        blank = value in (0, "", {}, None, MODEL_AUTO)
        if not blank or part in leaf.spans or part in leaf.defaults:
            request.setdefault(part, value)
    values = []
    for path, value in _flat(request):
        spans = tuple(dict.fromkeys(_about(leaf.spans, path)))
        values.append(
            LeafValue(
                path=path,
                value=value,
                text=value_text(value),
                spans=spans,
                words=words_of(outline.goal, spans),
                default="; ".join(dict.fromkeys(_about_text(leaf.defaults, path))),
                answer="; ".join(dict.fromkeys(_about_text(leaf.answered, path))),
            )
        )
    return values


def words_of(goal: str, spans: Iterable[Span]) -> str:
    """Return the words of some spans, each part once."""
    parts = (" ".join(goal[span.start : span.end].split()) for span in spans)
    return " … ".join(dict.fromkeys(part for part in parts if part))


def value_text(value: Any) -> str:
    """Return a value of a request for people, in one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if value is None:
        return "none"
    if is_file(value):
        return _file_text(value)
    if isinstance(value, Mapping):
        return _short(", ".join(f"{key} {value_text(value[key])}" for key in value))
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], Mapping | list):
            return f"{len(value):,} {'entry' if len(value) == 1 else 'entries'}"
        return _short(", ".join(map(value_text, value))) or "none"
    return _short(" ".join(str(value).split()))


def is_file(value: Any) -> bool:
    """Return True for a reference to a file: a stored one, or one that a leaf makes."""
    return isinstance(value, Mapping) and ("digest" in value or LEAF_FILE in value)


def _file_text(value: Mapping[str, Any]) -> str:
    if LEAF_FILE in value:
        return f"{value.get('output') or 'a file'} of {value[LEAF_FILE]}"
    return _short(str(value.get("name") or value["digest"]))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) of what is shown as one value."""
    if isinstance(value, Mapping) and not is_file(value):
        children: Iterable[tuple[Any, Any]] = value.items()
    elif (
        isinstance(value, list | tuple)
        and 0 < len(value) <= MAX_UNFOLDED
        and all(isinstance(item, Mapping) for item in value)
    ):
        children = enumerate(value)
    else:
        yield path, value
        return
    for key, child in children:
        yield from _flat(child, f"{path}.{key}" if path else str(key))


def _about(spans: Mapping[str, Sequence[Span]], path: str) -> Iterator[Span]:
    for key in _nearest(spans, path):
        yield from spans[key]


def _about_text(texts: Mapping[str, str], path: str) -> Iterator[str]:
    for key in _nearest(texts, path):
        yield texts[key]


def _nearest(table: Mapping[str, Any], path: str) -> list[str]:
    """Return the keys that speak of a path: itself and what is inside, else what it is in."""
    inside = [key for key in table if key == path or key.startswith(f"{path}.")]
    if inside:
        return inside
    outside = [key for key in table if path.startswith(f"{key}.")]
    return [max(outside, key=len)] if outside else []


def waits_for(outline: Outline, leaf_id: str) -> list[tuple[str, bool]]:
    """Return the leaves that a leaf waits for: (leaf, True if it must succeed)."""
    needs: dict[str, bool] = {}
    for edge in outline.edges.values():
        if edge.child == leaf_id:
            needs[edge.parent] = needs.get(edge.parent, False) or edge.needs == "success"
    for parent in _read_leaves(outline.leaves[leaf_id].spec):
        needs[parent] = True
    return list(needs.items())


def _read_leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if LEAF_FILE in value and "output" in value:
            yield str(value[LEAF_FILE])
        else:
            for child in value.values():
                yield from _read_leaves(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _read_leaves(child)


def open_questions(outline: Outline) -> list[str]:
    """Return the ids of the questions without an answer."""
    return [name for name in outline.questions if not outline.answers.get(name)]


def seconds_text(seconds: Seconds | None) -> str:
    """Return an expected duration for people: `about 30 s, 9 in 10 within 60 s`."""
    if seconds is None:
        return "not known"
    usual, long = _span(seconds.p50), _span(seconds.p90)
    return f"about {usual}" + ("" if usual == long else f", 9 in 10 within {long}")


def _span(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def origin_text(origin: Origin) -> str:
    """Return who proposed a leaf: `template ilp.solve`."""
    words = {
        "template": "template",
        "model": "language model",
        "owner": "edited by its owner",
        "repair": "repair of",
    }
    return f"{words[origin.source]} {origin.id}".strip()


def privacy_text(outline: Outline) -> str:
    """Return which language model helped, and whether anything left this machine."""
    if outline.sends_text:
        return (
            f"The goal's parsed fields were sent to the language model {outline.text_model}; "
            "no file was."
        )
    helper = (
        f"with the language model {outline.text_model} on the server"
        if outline.text_model
        else "from templates, without a language model"
    )
    return f"Made {helper}; nothing left this machine."


def grouped(
    outline: Outline,
) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return the tree: [(goal id, [(stage id, [leaf ids])])], nothing left out.

    Parts whose parent is missing come last, under an empty id.
    """
    stages: dict[str, list[str]] = {name: [] for name in outline.stages}
    for name, leaf in outline.leaves.items():
        stages.setdefault(leaf.stage if leaf.stage in outline.stages else "", []).append(
            name
        )
    goals: dict[str, list[tuple[str, list[str]]]] = {name: [] for name in outline.goals}
    for name, leaves in stages.items():
        stage = outline.stages.get(name)
        goal = stage.goal if stage is not None and stage.goal in outline.goals else ""
        goals.setdefault(goal, []).append((name, leaves))
    return list(goals.items())


def outline_text(outline: Outline, jobs: Mapping[str, str] | None = None) -> str:
    """Return an outline as text: tree, values with their words, questions, what is not done.

    `jobs` are the states of the leaves' jobs in words, by leaf.
    """
    lines = [_short(" ".join(outline.goal.split()))]
    if outline.understood:
        lines += ["", f"Understood: {outline.understood}"]
    if outline.reader:
        lines += ["", f"Read by: {outline.reader}"]
    for goal, stages in grouped(outline):
        lines += ["", outline.goals[goal].title if goal else "Further jobs"]
        for stage, leaves in stages:
            lines.append(f"  {outline.stages[stage].title if stage else 'Further jobs'}")
            for leaf in leaves:
                lines += _leaf_lines(outline, leaf, (jobs or {}).get(leaf, ""))
    lines += _remarks(outline)
    return "\n".join(lines)


def _leaf_lines(outline: Outline, name: str, state: str) -> list[str]:
    leaf = outline.leaves[name]
    dropped = "" if leaf.enabled else "  (dropped)"
    lines = [f"    {name}  {leaf.kind}: {leaf.title}{dropped}{state and f'  {state}'}"]
    values = values_of(outline, leaf)
    paths = max((len(value.path) for value in values), default=0)
    texts = min(32, max((len(value.text) for value in values), default=0))
    for value in values:
        source = f'"{value.words}"' if value.words else ""
        chosen = f"default: {value.default}" if value.default else ""
        answer = f"your answer: {value.answer}" if value.answer else ""
        why = "  ".join(part for part in (source, answer, chosen) if part)
        line = f"        {value.path:{paths}}  {value.text:{texts}}  {why}"
        lines.append(line.rstrip())
    for parent, success in waits_for(outline, name):
        lines.append(f"        after {parent}{'' if success else ', however it ends'}")
    lines.append(
        f"        {seconds_text(leaf.seconds)}; proposed by {origin_text(leaf.origin)}"
    )
    return lines


def _remarks(outline: Outline) -> list[str]:
    lines = []
    if outline.not_understood:
        words = ", ".join(
            f'"{words_of(outline.goal, [span])}"' for span in outline.not_understood
        )
        lines += ["", f"Not understood: {words}"]
    if outline.not_done:
        lines += ["", "Not done:"]
        lines += [f'  "{part.text}": {part.reason}' for part in outline.not_done]
    if outline.notes:
        lines += ["", "Notes:", *(f"  {note}" for note in outline.notes)]
    if outline.questions:
        lines += ["", "Questions:"]
        for name, question in outline.questions.items():
            answer = outline.answers.get(name)
            lines.append(f"  {name}  {question.text}")
            lines.append(
                f"      answered: {answer}"
                if answer
                else f"      {' / '.join([*question.options, 'other text'])}"
            )
    if outline.seconds is not None and outline.leaves:
        basis = f" ({outline.seconds.basis})" if outline.seconds.basis else ""
        lines += ["", f"In all: {seconds_text(outline.seconds)}{basis}"]
    return [*lines, "", privacy_text(outline)]
