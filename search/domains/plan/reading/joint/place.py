"""Words of a goal by their characters: the tokens and quantities that lie there."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.domains.plan.reading.quantities.find import quantities_of
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.scene import Scene, scene_of

_DATA = re.compile(r"[\"'`]|^[ \t]*[>|]|\|", re.M)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Words that state a value."""

    scene: Scene
    start: int  # in the folded text
    end: int
    tokens: tuple[int, ...]

    @property
    def text(self) -> str:
        """The words as written, after folding."""
        return self.scene.text.folded[self.start : self.end]

    def behind(self, characters: int) -> tuple[int, ...]:
        """Return the tokens that start at least so many characters behind the first one."""
        start = self.start + characters
        return tuple(i for i in self.tokens if self.scene.tokens[i].start >= start)

    @property
    def words(self) -> list[str]:
        """The words in lower case, typing errors undone."""
        return [self.scene.word(i) for i in self.tokens]


def place_of(scene: Scene, start: int, end: int) -> Place:
    """Return the words at characters [start, end) of the goal as it was sent."""
    at = scene.text.at
    low = bisect_left(at, start, 0, len(at) - 1)
    high = max(bisect_left(at, end, 0, len(at) - 1), low)
    return _at(scene, low, high)


def _at(scene: Scene, low: int, high: int) -> Place:
    tokens = [i for i, t in enumerate(scene.tokens) if t.start < high and low < t.end]
    # A table repeats the tokens of its header in every row; the words stand there once.
    once = {(scene.tokens[i].start, scene.tokens[i].end): i for i in reversed(tokens)}
    return Place(scene=scene, start=low, end=high, tokens=tuple(sorted(once.values())))


def unquoted(place: Place) -> Place:
    """Return the same words in the goal without quotation marks, and with every number free.

    Quoted words are data to the rules, and numbers inside a phrase ("device 0") are not theirs;
    who points at such words means them.
    """
    scene = place.scene
    text = replace(
        scene.text, folded=_DATA.sub(lambda m: " " * len(m[0]), scene.text.folded)
    )
    bare = scene_of(text, list(scene.files.values()), scene.lexicon)
    bare.quantities = quantities_of(bare.tokens)
    return _at(bare, place.start, place.end)


def quantities_in(place: Place, quantities: Sequence[Quantity]) -> list[Quantity]:
    """Return the quantities of some words; of a list or range only the numbers that lie there."""
    inside = set(place.tokens)
    found: list[Quantity] = []
    for quantity in quantities:
        here = [k for k, token in enumerate(quantity.tokens) if token in inside]
        if not here:
            continue
        whole = len(here) == len(quantity.numbers)
        if whole or len(quantity.tokens) != len(quantity.numbers):
            found.append(quantity)
        else:
            found.append(_some(quantity, here))
    return found


def _some(quantity: Quantity, here: Sequence[int]) -> Quantity:
    numbers = tuple(quantity.numbers[k] for k in here)
    return replace(
        quantity,
        numbers=numbers,
        tokens=tuple(quantity.tokens[k] for k in here),
        shape=Shape.SINGLE if len(numbers) == 1 else Shape.LIST,
    )
