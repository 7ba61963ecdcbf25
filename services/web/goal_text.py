"""The goal with its words marked: where each went, and which nothing accounts for. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trimtab.outlines import values_of
from trimtab.plans import Outline, Span

MAX_MARKED = 20_000  # characters of a goal that are marked; the rest is plain


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of the goal."""

    text: str
    start: int
    """Index of the first character; its anchor is `w-<start>`."""
    mark: str = ""
    """`lost`, `undone`, `asked`, `used`, or empty for words that carry nothing."""
    href: str = ""
    """Where on the page its value is, for `used`."""
    title: str = ""
    """What became of it, in words."""


@dataclass(frozen=True, kw_only=True)
class _Mark:
    span: Span
    rank: int  # the lowest of a stretch decides
    mark: str
    href: str
    title: str


def goal_parts(outline: Outline) -> list[Part]:
    """Return the goal in stretches, each with what became of its words."""
    goal = outline.goal
    end = min(len(goal), MAX_MARKED)
    marks = [mark for mark in _marks(outline) if mark.span.start < mark.span.end <= end]
    cuts = sorted({0, end, len(goal)} | {at for mark in marks for at in _ends(mark.span)})
    marks.sort(key=lambda mark: mark.span.start)
    parts: list[Part] = []
    open_: list[_Mark] = []
    following = 0
    for start, stop in itertools.pairwise(cuts):
        open_ = [mark for mark in open_ if mark.span.end > start]
        while following < len(marks) and marks[following].span.start <= start:
            open_.append(marks[following])
            following += 1
        found = min(open_, key=lambda mark: mark.rank, default=None)
        part = Part(text=goal[start:stop], start=start)
        if found is not None:
            part = Part(
                text=goal[start:stop],
                start=start,
                mark=found.mark,
                href=found.href,
                title=found.title,
            )
        parts.append(part)
    return parts


def value_anchor(leaf: str, path: str) -> str:
    """Return the id of a value's row on the page."""
    return f"v-{leaf}-{path}".replace(".", "-")


def leaf_anchor(leaf: str) -> str:
    """Return the id of a leaf on the page."""
    return f"leaf-{leaf}".replace(".", "-")


def _ends(span: Span) -> tuple[int, int]:
    return span.start, span.end


def _marks(outline: Outline) -> Iterator[_Mark]:
    yield from _all(outline.not_understood, 0, "lost", "not understood")
    for part in outline.not_done:
        yield from _all(part.spans, 1, "undone", f"not done: {part.reason}")
    for name, question in outline.questions.items():
        if not outline.answers.get(name):
            href = f"#question-{name}"
            yield from _all(question.spans, 2, "asked", question.text, href)
    for name, leaf in outline.leaves.items():
        for value in values_of(outline, leaf):
            href = f"#{value_anchor(name, value.path)}"
            title = f"{name}: {value.path} = {value.text}"
            yield from _all(value.spans, 3, "used", title, href)
        title = f"{name}: {leaf.kind}, {leaf.title}"
        yield from _all(
            leaf.spans.get("kind", ()), 4, "used", title, f"#{leaf_anchor(name)}"
        )


def _all(
    spans: Iterable[Span], rank: int, mark: str, title: str, href: str = ""
) -> Iterator[_Mark]:
    for span in spans:
        yield _Mark(span=span, rank=rank, mark=mark, href=href, title=title)
