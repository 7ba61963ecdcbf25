"""Corrections: "no wait, six", "scratch that", "*3 mins sorry"; the later value holds."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.lexicon import Item, Role
from search.domains.plan.reading.quantities.quantity import Shape
from search.domains.plan.reading.scene import Scene

_REACH = 14  # tokens between the mark and the corrected value


def corrected(scene: Scene, bounds: Sequence[Bound]) -> list[Bound]:
    """Return the bounds without those that the goal takes back; notes say what was replaced."""
    dropped: set[int] = set()
    done = -9
    for mark in scene.marks("correct"):
        if 0 <= mark.start - done <= 4:
            scene.use(range(mark.start, mark.end), "correction")
            continue
        after = [
            i
            for i, b in enumerate(bounds)
            if mark.end <= b.at < mark.end + _REACH
            and scene.sentence(b.at) - scene.sentence(mark.start) <= 1
        ]
        before = [
            i for i, b in enumerate(bounds) if b.at < mark.start and i not in dropped
        ]
        pair = _pair(bounds, before, after) or _pair(
            bounds,
            before[:-1],
            before[-1:] if _near(bounds, before, mark.start) else [],
        )
        scene.use(range(mark.start, mark.end), "correction")
        if _is_polite(scene, mark) or _asks_to_make(scene, mark):
            continue
        if pair is None:
            continue
        old, new = pair
        if bounds[old].shape is Shape.RANGE and bounds[new].shape is Shape.SINGLE:
            continue  # one edge of a band is corrected; the band keeps the other
        dropped.add(old)
        done = max(bounds[new].tokens)
        scene.use(bounds[old].tokens, "corrected")
        scene.notes.append(
            f"“{_words(scene, bounds[old])}” was corrected to “{_words(scene, bounds[new])}”"
        )
    return [b for i, b in enumerate(bounds) if i not in dropped]


def _is_polite(scene: Scene, mark: Item) -> bool:
    """Return whether "sorry", "wait" is no correction: "sorry for the delay"."""
    return scene.word(mark.end - 1) in ("sorry", "apologies") and scene.word(
        mark.end
    ) in (
        "for",
        "to",
        "about",
        "that",
        "i",
    )


def _asks_to_make(scene: Scene, mark: Item) -> bool:
    """Return whether "make it" is followed by no number, and so corrects none."""
    if scene.word(mark.start) != "make":
        return False
    end = mark.end
    while scene.word(end) in (
        "a",
        "an",
        "just",
        "only",
        "about",
        "it",
        ",",
        "the",
        "rather",
    ):
        end += 1
    ahead = range(mark.end, end + 1)
    return not any(q.start in ahead for q in scene.quantities) and not any(
        item.start in ahead and item.of(Role.VALUE, Role.RELATION) for item in scene.items
    )


def _near(bounds: Sequence[Bound], before: Sequence[int], at: int) -> bool:
    return bool(before) and at - max(bounds[before[-1]].tokens) <= 3


def _pair(
    bounds: Sequence[Bound], before: Sequence[int], after: Sequence[int]
) -> tuple[int, int] | None:
    """Return the last value before and the first one after that set the same slot."""
    for new in after:
        for old in reversed(before):
            slots = set(bounds[old].paths.items()) & set(bounds[new].paths.items())
            if slots and bounds[old].values != bounds[new].values:
                return old, new
    return None


def _words(scene: Scene, bound: Bound) -> str:
    if bound.quantity is None:
        return scene.words(bound.at, bound.tokens[-1] + 1)
    return scene.words(bound.quantity.start, bound.quantity.end)
