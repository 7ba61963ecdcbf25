"""Slots that take names or places from the text: the cell of the feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.building.builds import builds_of
from search.domains.plan.reading.constraints import constraints_of
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form


def named(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Return the slots whose values are names in the text."""
    bounds = [*constraints_of(scene, kinds), *builds_of(scene, kinds)]
    for phrase in scene.with_role(Role.NAMES):
        for sense in phrase.of(Role.NAMES):
            if sense.kind in kinds and (value := _cell(scene, phrase)) is not None:
                tokens, values = value
                bounds.append(
                    Bound(
                        paths={sense.kind: sense.path},
                        values={sense.kind: (values,)},
                        tokens=(
                            phrase.start,
                            *tokens,
                            *range(phrase.start + 1, phrase.end),
                        ),
                    )
                )
    return bounds


def _cell(scene: Scene, phrase: Phrase) -> tuple[list[int], list[Any]] | None:
    """Return the two numbers of "feed at cell (3, 6)"."""
    numbers = [
        i
        for i in range(phrase.end, min(phrase.end + 9, len(scene.tokens)))
        if scene.tokens[i].form is Form.NUMBER
    ]
    values = [scene.tokens[i].value for i in numbers[:2]]
    if len(values) < 2 or any(v is None or v != int(v) for v in values):
        return None
    return numbers[:2], [int(v) for v in values if v is not None]
