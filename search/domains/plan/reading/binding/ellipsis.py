"""Quantities that borrow slot and unit from another: "8 GPUs or 16", "4 of them"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.binding.bound import COUNT, Bound
from search.domains.plan.reading.binding.conversion import fits, is_plausible, values_of
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.stems import listed, vocabulary
from search.domains.plan.reading.units import Dimension

_BEFORE_ELLIPSIS = vocabulary(
    "for another gets or and vs versus then with to on that it than , wait no sorry "
    "make rather not just of only meant mean from : be actually as maybe take takes need needs "
    "spend spends"
)
_ALSO_BEFORE = vocabulary("also too got have only another")
_LIMITS = vocabulary(
    "at most least about only just no more than up roughly maximum max exactly under"
)
_BEHIND_ELLIPSIS = frozenset(
    listed(
        ", . ) and or for ? ! ; \n each then with instead apiece on if vs in sorry please would "
        "also too as max at : gpus but dont"
    )
) | {""}
_CONNECTIVES = vocabulary(
    "instead of or vs versus rather than and not to , / & then as opposed both"
)
_ALTERNATIVE = vocabulary(
    "as or vs versus and , another then no sorry . make that actually than not mean meant but ; "
    "whether wait while instead from : \n"
)


def bind_like_earlier(
    scene: Scene, quantity: Quantity, before: Sequence[Bound]
) -> Bound | None:
    """Bind a bare number like the quantity before it: "8 GPUs or 16", "one minute, b for two"."""
    if quantity.units or not quantity.exact:
        return None
    at = quantity.start - 1
    while scene.word(at) in _LIMITS:
        at -= 1
    near = scene.word(at)
    if near == "and" and scene.word(at - 1) in (",", ".", "oh", "\n"):
        following = scene.word(quantity.end)
        if following in ("", ".") and quantity.end >= len(scene.tokens) - 1:
            return None  # "…, and 4096." is no second value of what stands before
    sentence = scene.sentence(quantity.start)
    what_if = any(scene.sentence(m.start) == sentence for m in scene.marks("what_if"))
    of_value = scene.word(quantity.end) in ("of", "on", "with", "by") and any(
        phrase.start == quantity.end + 1 and phrase.of(Role.VALUE)
        for phrase in scene.items
    )
    owned = near == "the" and scene.word(quantity.end) in (
        "we",
        "i",
        "they",
        "you",
        "that",
    )
    behind = scene.word(quantity.end) in _BEHIND_ELLIPSIS or of_value or owned
    if not behind and not what_if:
        return None
    candidates = [
        other
        for other in reversed(before)
        if other.quantity is not None
        and other.shape not in (Shape.RANGE, Shape.AROUND)
        and (scene.sentence(quantity.start) - scene.sentence(other.at) <= 1 or what_if)
    ]
    addressed = scene.word(quantity.end) in ("for", "on", "to") and any(
        scene.used.get(t, "").startswith(("file", "ordinal"))
        for t in range(quantity.end + 1, quantity.end + 3)
    )
    beside_name = (
        addressed
        or any(scene.used.get(t, "").startswith("file") for t in (at, at - 1))
        or any(
            phrase.end == quantity.start and phrase.of(Role.FILE_NOUN)
            for phrase in scene.items
        )
    )
    if not candidates or not (
        near in _BEFORE_ELLIPSIS | _ALSO_BEFORE or what_if or beside_name or owned
    ):
        return None
    dimension = Dimension.TIME if near in ("for", "another", "gets") else None
    devices = [c for c in candidates if COUNT in c.paths.values()]
    if what_if and not devices and near not in _BEFORE_ELLIPSIS:
        return None
    timed = any(Dimension.TIME in _dimensions(scene, c) for c in candidates)
    if devices and (
        what_if or near in ("as", "than", "on", "to", "got", "have") or not timed
    ):
        dimension = None
        candidates = devices
    other = next(
        (c for c in candidates if dimension in _dimensions(scene, c)), candidates[0]
    )
    words = {scene.word(i) for i in range(other.at, quantity.start)}
    of_time = dimension is not None and dimension not in _dimensions(scene, other)
    if of_time or not (words & _ALTERNATIVE or what_if or beside_name or owned):
        return None
    return _like(scene, quantity, other)


def bind_like_next(
    scene: Scene, quantity: Quantity, found: Sequence[Bound]
) -> Bound | None:
    """Bind a number whose noun or unit comes with the next: "4 instead of 8 A100"."""
    if quantity.units or not quantity.exact:
        return None
    following = [
        b for b in found if b.quantity is not None and b.quantity.start >= quantity.end
    ]
    if not following:
        return None
    other = min(following, key=lambda b: b.at if b.quantity is None else b.quantity.start)
    assert other.quantity is not None
    between = {scene.word(i) for i in range(quantity.end, other.quantity.start)}
    if not between - {","} or not between <= _CONNECTIVES:
        return None
    return _like(scene, quantity, other)


def _of_measured(
    scene: Scene, quantity: Quantity, bounds: Sequence[Bound]
) -> Bound | None:
    """Bind "in 20 minutes, so use 15 of them" with the unit of what was measured."""
    near = [
        b
        for b in bounds
        if b.quantity is not None
        and b.quantity.units
        and 0 < quantity.start - b.quantity.end <= 12
    ]
    bound = _like(scene, quantity, near[-1]) if near else None
    return None if bound is None else replace(bound, strong=True)


def bind_of_them(
    scene: Scene,
    quantity: Quantity,
    heads: Sequence[tuple[Phrase, Slot, bool]],
    bounds: Sequence[Bound] | None = None,
) -> Bound | None:
    """Bind "not more than 4 of them" to the slot whose name was said last."""
    at = quantity.end + (scene.word(quantity.end) == "of")
    if quantity.units or scene.word(at) not in ("them", "these", "those"):
        return None
    if scene.word(quantity.start - 1) in ("the", "these", "those"):
        return None  # "for the two of them" counts what there is
    counted = [
        (phrase.start, slot, phrase)
        for phrase, slot, _ in heads
        if slot.dimension is Dimension.COUNT
        and 0 < quantity.start - phrase.end <= 14
        and not scene.used.get(phrase.start, "").startswith("not done")
    ]
    if not counted:
        return None if bounds is None else _of_measured(scene, quantity, bounds)
    _, slot, phrase = max(counted, key=lambda row: row[0])
    if slot.path == COUNT or not fits(scene, quantity, slot):
        return None
    tokens = (*range(quantity.start, at + 1), *range(phrase.start, phrase.end))
    return Bound(
        paths={slot.kind: slot.path},
        values={slot.kind: values_of(scene, quantity, slot)},
        tokens=tokens,
        shape=quantity.shape,
        choice=quantity.choice,
        quantity=quantity,
    )


def _like(scene: Scene, quantity: Quantity, other: Bound) -> Bound | None:
    """Bind a bare number to the slots of another one, with its unit."""
    unit = other.quantity.units if other.quantity else ()
    suffix = other.quantity.suffix if other.quantity else ""
    like = replace(quantity, units=unit, suffix=quantity.suffix or suffix)
    values = {}
    for kind, path in other.paths.items():
        slot = scene.lexicon.slots[kind][path]
        if not fits(scene, like, slot) or not is_plausible(like, slot):
            return None
        values[kind] = values_of(scene, like, slot)
    note = (
        f"“{scene.words(quantity.start, quantity.end)}” is read with the unit beside it"
    )
    return Bound(
        paths=other.paths,
        values=values,
        tokens=tuple(range(quantity.start, quantity.end)),
        shape=quantity.shape,
        choice=quantity.choice,
        note=note if unit else "",
        quantity=like,
        costs=other.costs,
    )


def _dimensions(scene: Scene, bound: Bound) -> set[Dimension | None]:
    return {
        scene.lexicon.slots[kind][path].dimension for kind, path in bound.paths.items()
    }
