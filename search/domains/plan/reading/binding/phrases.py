"""Phrases that state a value by themselves: engines, hardware, switches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.lexicon import Phrase, Role, Sense
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form

_ENGINE = "spec.engine"
_SUB_ENGINE = "spec.lns.sub_mip_engine"
_SUB_SECONDS = "spec.lns.sub_mip_seconds"
_CLAUSE = 0.9  # less than a comma


def bind_phrases(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Bind phrases that state a value by themselves: engines, hardware, switches."""
    bounds: list[Bound] = []
    for phrase in scene.items:
        senses = [s for s in phrase.of(Role.VALUE) if s.kind in kinds]
        if not senses:
            continue
        paths: dict[str, str] = {}
        values: dict[str, tuple[Any, ...]] = {}
        for sense in sorted(senses, key=lambda s: not _named(scene, phrase, s)):
            if sense.kind not in paths:
                paths[sense.kind] = _inner(scene, phrase, sense)
                values[sense.kind] = (sense.value,)
        bounds.append(
            Bound(
                paths=paths, values=values, tokens=tuple(range(phrase.start, phrase.end))
            )
        )
    bounds += _vswr(scene, kinds)
    bounds += _named_choices(scene, kinds, {t for b in bounds for t in b.tokens})
    bounds += _every_choice(scene, kinds, {p for b in bounds for p in b.paths.values()})
    triple = scene.lexicon.slots.get("compile", {}).get("spec.target.triple")
    if triple is not None and "compile" in kinds:
        bounds += [
            Bound(
                paths={"compile": triple.path},
                values={"compile": (token.word,)},
                tokens=(i,),
                strong=True,
            )
            for i, token in enumerate(scene.tokens)
            if token.form is Form.TRIPLE
        ]
    return bounds


def _named_choices(scene: Scene, kinds: Sequence[str], taken: set[int]) -> list[Bound]:
    """Bind "memory model: weights", "search=random": a choice right behind its slot's name."""
    bounds = []
    for phrase in scene.with_role(Role.HEAD):
        at = phrase.end
        while scene.word(at) in (":", "=", "is", "by", "of", "at", '"', "the"):
            at += 1
        for sense in phrase.of(Role.HEAD):
            slot = scene.lexicon.slots.get(sense.kind, {}).get(sense.path)
            if slot is None or sense.kind not in kinds or at in taken or at in scene.used:
                continue
            for choice in slot.choices:
                words = choice.replace("-", " ").replace("_", " ").split()
                end = at + len(words)
                text = [scene.word(i) for i in range(at, end)]
                if at > phrase.end - 1 and text == words and at < len(scene.tokens):
                    bounds.append(
                        Bound(
                            paths={sense.kind: slot.path},
                            values={sense.kind: (choice,)},
                            tokens=(*range(at, end), *range(phrase.start, phrase.end)),
                        )
                    )
                    break
    return bounds


def _every_choice(scene: Scene, kinds: Sequence[str], stated: set[str]) -> list[Bound]:
    """Bind "all engines", "each of the three solvers" to all choices, where none is named."""
    bounds = []
    for phrase in scene.with_role(Role.HEAD):
        before = [scene.word(i) for i in range(max(0, phrase.start - 4), phrase.start)]
        plural = scene.word(phrase.end - 1).endswith("s")
        every = {"every", "each"} & set(before[-2:]) or (
            plural and {"all", "3", "different", "available"} & set(before)
        )
        for sense in phrase.of(Role.HEAD):
            slot = scene.lexicon.slots.get(sense.kind, {}).get(sense.path)
            if slot is None or sense.kind not in kinds or not every:
                continue
            if slot.choices and not slot.is_list and slot.path not in stated:
                scene.use(range(max(0, phrase.start - 2), phrase.start), slot.path)
                bounds.append(
                    Bound(
                        paths={sense.kind: slot.path},
                        values={sense.kind: slot.choices},
                        tokens=tuple(range(phrase.start, phrase.end)),
                        shape=Shape.LIST,
                        choice=True,
                    )
                )
    return bounds[:1]


def _vswr(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Bind a standing wave ratio as the reflection that it stands for: 2:1 is -9.54 dB."""
    for i, token in enumerate(scene.tokens):
        near = [q for q in scene.quantities if 0 < q.start - i <= 6 and not q.units]
        if token.word != "vswr" or "antenna" not in kinds or not near:
            continue
        ratio = near[0].numbers[0]
        end = near[0].end
        if scene.word(end) in ("to", ":") and scene.tokens[end + 1].value == 1:
            end += 2
        if ratio > 1:
            level = 20 * math.log10((ratio - 1) / (ratio + 1))
            return [
                Bound(
                    paths={"antenna": "spec.bands.0.s11_max_db"},
                    values={"antenna": (round(level, 2),)},
                    tokens=(i, *range(near[0].start, end)),
                    note=f"a standing wave ratio of {ratio:g} is a reflection of {level:.2f} dB",
                )
            ]
    return []


def is_wave_ratio(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number is one of a standing wave ratio, bound as a phrase."""
    before = {scene.word(i) for i in range(max(0, quantity.start - 6), quantity.start)}
    return "vswr" in before and not quantity.units


def _inner(scene: Scene, phrase: Phrase, sense: Sense) -> str:
    """Return the slot of a choice: an engine named beside "sub-MIPs" is theirs."""
    if sense.path != _ENGINE:
        return sense.path
    near = [
        (abs(other.start - phrase.start), s.path)
        for other in scene.with_role(Role.HEAD)
        for s in other.of(Role.HEAD)
        if s.path in (_SUB_ENGINE, _SUB_SECONDS, _ENGINE)
        and -2 <= phrase.start - other.end <= 7
        and scene.crossing(other.start, phrase.start) < _CLAUSE
    ]
    return _SUB_ENGINE if near and min(near)[1] != _ENGINE else _ENGINE


def _named(scene: Scene, phrase: Phrase, sense: Sense) -> bool:
    """Return whether the slot's own name is near a phrase."""
    return any(
        s.path == sense.path
        for other in scene.items
        for s in other.of(Role.HEAD)
        if abs(other.start - phrase.start) <= 5
        and scene.crossing(other.start, phrase.start) < 3
    )
