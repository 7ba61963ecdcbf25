"""Slots that take names or words from the text: tables placed whole, arguments of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from search.domains.plan.reading.bind import Bound
from search.domains.plan.reading.lexicon import Item, Role, Sense
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form

_NO_SPLIT = "spec.constraints.no_split"
_ARGUMENTS = "spec.runs.0.arguments"
_EXCLUDE = "spec.build.exclude"
_FEED = "spec.feed"
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
_MAX_ARGUMENTS = 8


def named(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Return the slots whose values are names in the text."""
    found = []
    for item in scene.with_role(Role.NAMES):
        for sense in item.of(Role.NAMES):
            if sense.kind in kinds and (value := _value(scene, item, sense)) is not None:
                tokens, values = value
                found.append(
                    Bound(
                        paths={sense.kind: sense.path},
                        values={sense.kind: (values,)},
                        tokens=(item.start, *tokens, *range(item.start + 1, item.end)),
                    )
                )
    return found


def _value(scene: Scene, item: Item, sense: Sense) -> tuple[list[int], list[Any]] | None:
    if sense.path == _NO_SPLIT:
        return _identifiers(scene, item)
    if sense.path == _ARGUMENTS:
        return _arguments(scene, item)
    if sense.path == _FEED:
        return _cell(scene, item)
    if sense.path == _EXCLUDE:
        return _folders(scene, item)
    return None


def _negated(scene: Scene, item: Item) -> Item | None:
    near = [
        m
        for m in scene.marks("not", "except")
        if abs(m.start - item.start) <= 7 and scene.crossing(m.start, item.start) < 2
    ]
    return min(near, key=lambda m: abs(m.start - item.start), default=None)


def _identifiers(scene: Scene, item: Item) -> tuple[list[int], list[Any]] | None:
    """Return the table names of the sentence: words with underscores, and quoted ones."""
    sentence = [
        i
        for i in range(len(scene.tokens))
        if scene.sentence(i) == scene.sentence(item.start)
    ]
    negation = _negated(scene, item)
    words = scene.words(item.start, item.end).lower()
    if negation is None and words in ("split", "be cut"):
        return None
    start, end = scene.tokens[sentence[0]].start, scene.tokens[sentence[-1]].end
    tokens: list[int] = []
    values: list[Any] = []
    for match in _IDENTIFIER.finditer(scene.text.folded, start, end):
        inside = [
            i for i in sentence if match.start() <= scene.tokens[i].start < match.end()
        ]
        if inside and not any(
            i in scene.used or scene.tokens[i].form is not Form.WORD for i in inside
        ):
            tokens += inside
            values.append(match[0])
    for i in sentence:
        if scene.tokens[i].form is Form.QUOTE:
            tokens.append(i)
            values.append(scene.tokens[i].text[1:-1])
    if not values:
        return None
    if negation is not None:
        scene.use(range(negation.start, negation.end), "negation")
    return tokens, values


def _arguments(scene: Scene, item: Item) -> tuple[list[int], list[Any]] | None:
    """Return the words behind "arguments", each as text."""
    tokens: list[int] = []
    values: list[Any] = []
    i = item.end
    while i < len(scene.tokens) and len(values) < _MAX_ARGUMENTS:
        token = scene.tokens[i]
        if token.form is Form.NUMBER and any(
            x.start == i + 1 and x.of(Role.HEAD) for x in scene.items
        ):
            break
        if token.form is Form.NUMBER:
            values.append(token.text)
        elif token.form is Form.QUOTE:
            values.append(token.text[1:-1])
        elif not (
            token.word in ("and", ",", ":", "=", "of", "the")
            and not scene.ends_sentence(i)
        ):
            break
        if token.form is not Form.WORD and token.form is not Form.MARK:
            tokens.append(i)
        i += 1
    return (tokens, values) if values else None


def _cell(scene: Scene, item: Item) -> tuple[list[int], list[Any]] | None:
    """Return the two numbers of "feed at cell (3, 6)"."""
    numbers = [
        i
        for i in range(item.end, min(item.end + 9, len(scene.tokens)))
        if scene.tokens[i].form is Form.NUMBER
    ]
    values = [scene.tokens[i].value for i in numbers[:2]]
    if len(values) < 2 or any(v is None or v != int(v) for v in values):
        return None
    return numbers[:2], [int(v) for v in values if v is not None]


def _folders(scene: Scene, item: Item) -> tuple[list[int], list[Any]] | None:
    """Return the pattern of a folder that is left out: "except the tests"."""
    negation = _negated(scene, item)
    out = any(
        scene.word(i) == "out"
        for i in range(item.end, min(item.end + 4, len(scene.tokens)))
    )
    in_front = {scene.word(i) for i in range(max(0, item.start - 3), item.start)}
    kept_out = out and bool(in_front & {"keep", "leave"})
    if not kept_out and (negation is None or negation.start > item.start):
        return None
    if negation is not None and not kept_out:
        scene.use(range(negation.start, negation.end), "negation")
    return [], [f"{scene.word(item.start)}/*"]
