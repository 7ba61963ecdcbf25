"""Corrections: "no wait, six", "scratch that", "*3 mins sorry"; the later value holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.binding.conversion import fits, values_of
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.quantities.quantity import Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import UNITS

_REACH = 18  # tokens between the mark and the corrected value


def corrected(scene: Scene, bounds: Sequence[Bound]) -> list[Bound]:
    """Return the bounds without those that the goal takes back; notes say what was replaced."""
    bounds = list(bounds)
    dropped: set[int] = set()
    done = -9
    for mark in scene.marks("correct"):
        if mark.start - done <= 4:
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
        if _corrects_unit(scene, bounds, before, mark):
            scene.use(range(mark.start, mark.end), "correction")
            continue
        bounds = _meant_like_before(scene, bounds, before, after, mark)
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
        first = bounds[pair[1]]
        for old, new in [pair, *_further(scene, bounds, before, after, pair)]:
            if bounds[old].shape is Shape.RANGE and bounds[new].shape is Shape.SINGLE:
                continue  # one edge of a band is corrected; the band keeps the other
            dropped.add(old)
            scene.use(bounds[old].tokens, "corrected")
            scene.notes.append(
                f"“{_words(scene, bounds[old])}” was corrected to “{_words(scene, bounds[new])}”"
            )
            # The new value holds where the old one stood: its job is the old one's.
            bounds[new] = replace(
                bounds[new], tokens=(bounds[old].at, *bounds[new].tokens)
            )
            done = max(first.tokens)
    return [b for i, b in enumerate(bounds) if i not in dropped]


def _further(
    scene: Scene,
    bounds: Sequence[Bound],
    before: Sequence[int],
    after: Sequence[int],
    pair: tuple[int, int],
) -> list[tuple[int, int]]:
    """Return the pairs of other slots that the same sentence corrects: "2 min, and seed 14"."""
    old, new = pair
    here = scene.sentence(bounds[new].at)
    pairs = []
    for i in after:
        between = range(bounds[new].at, bounds[i].at)
        named = any(scene.tokens[t].form is Form.FILE for t in between)
        same = set(bounds[i].paths.values()) & set(bounds[new].paths.values())
        if i == new or named or same or scene.sentence(bounds[i].at) != here:
            continue
        other = _pair(bounds, [k for k in before if k != old], [i])
        if other is not None:
            pairs.append(other)
    return pairs


def _corrects_unit(
    scene: Scene, bounds: list[Bound], before: Sequence[int], mark: Phrase
) -> bool:
    """Give the last value another unit: "30 seconds. Sorry, minutes and not seconds"."""
    if not before:
        return False
    old = bounds[before[-1]]
    if old.quantity is None or not old.quantity.units:
        return False
    inside = {t for q in scene.quantities for t in range(q.start, q.end)}
    for i in range(mark.end, min(mark.end + 3, len(scene.tokens))):
        word = scene.word(i)
        if scene.ends_sentence(i) or i in inside or scene.word(i - 1) == "not":
            return False
        units = UNITS.get(word, ()) if len(word) >= 3 else ()
        if not {u.dimension for u in units} & {u.dimension for u in old.quantity.units}:
            continue
        quantity = replace(old.quantity, units=units)
        slots = {k: scene.lexicon.slots[k].get(path) for k, path in old.paths.items()}
        values = {k: values_of(scene, quantity, s) for k, s in slots.items() if s}
        bounds[before[-1]] = replace(old, quantity=quantity, values=values)
        rest = range(i + 1, min(i + 5, len(scene.tokens)))
        denied = [t for t in rest if scene.word(t) in ("and", "not", *UNITS)]
        scene.use([i, *denied], "correction")
        scene.notes.append(f"the unit was corrected to {word}")
        return True
    return False


def _meant_like_before(
    scene: Scene,
    bounds: list[Bound],
    before: Sequence[int],
    after: Sequence[int],
    mark: Phrase,
) -> list[Bound]:
    """Give the number right behind a correction the slot of the value that it replaces.

    "margin 2 dB. Make that 4 dB": 4 dB alone may be another level, but here it is the margin.
    """
    first = next((i for i in after if bounds[i].at - mark.end <= 1), None)
    if first is None or not before:
        return bounds
    new = bounds[first]
    alike = [
        i
        for i in before
        if (q := bounds[i].quantity) is not None
        and new.quantity is not None
        and (q.shape is Shape.RANGE) == (new.quantity.shape is Shape.RANGE)
    ]
    if not alike:
        return bounds
    old = bounds[alike[-1]]
    if old.quantity is None or new.quantity is None or old.paths == new.paths:
        return bounds
    if set(old.paths.values()) & set(new.paths.values()):
        return bounds
    if not new.quantity.units and old.quantity.units:
        new = replace(new, quantity=replace(new.quantity, units=old.quantity.units))
    assert new.quantity is not None
    if bool(old.quantity.units) != bool(new.quantity.units):
        return bounds
    inside = range(new.quantity.start, new.quantity.end)
    if any(t >= mark.end and t not in inside for t in new.tokens):
        return bounds  # its own slot is named beside it
    slots = {
        kind: scene.lexicon.slots[kind].get(path) for kind, path in old.paths.items()
    }
    if not all(slot and fits(scene, new.quantity, slot) for slot in slots.values()):
        return bounds
    values = {
        kind: values_of(scene, new.quantity, slot) for kind, slot in slots.items() if slot
    }
    changed = list(bounds)
    changed[first] = replace(new, paths=old.paths, values=values, rivals=())
    return changed


def _is_polite(scene: Scene, mark: Phrase) -> bool:
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


def _asks_to_make(scene: Scene, mark: Phrase) -> bool:
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
        phrase.start in ahead and phrase.of(Role.VALUE, Role.RELATION)
        for phrase in scene.items
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
