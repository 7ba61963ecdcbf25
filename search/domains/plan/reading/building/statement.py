"""Statements about a program, bound to its slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.scene import Scene

KIND = "compile"


def tokens_in(scene: Scene, start: int, end: int) -> list[int]:
    """Return the tokens that have a character in [start, end)."""
    return [i for i, t in enumerate(scene.tokens) if t.start < end and start < t.end]


def sentence_around(scene: Scene, at: int) -> tuple[int, int]:
    """Return the characters of the sentence around a character."""
    places = tokens_in(scene, at, at + 1)
    if not places:
        return at, at
    here = scene.in_sentence(scene.sentence(places[0]))
    return scene.tokens[here[0]].start, scene.tokens[here[-1]].end


def stated(path: str, value: Any, tokens: Sequence[int]) -> Iterator[Bound]:
    """Yield a value of a slot of the program, if any words state it."""
    if tokens:
        row = tuple(dict.fromkeys(sorted(tokens)))
        yield Bound(paths={KIND: path}, values={KIND: (value,)}, tokens=row)
