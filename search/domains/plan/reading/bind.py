"""Quantities and phrases bound to slots, before it is known to which job they belong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from search.domains.plan.reading.lexicon import Item, Role, Sense
from search.domains.plan.reading.quantities import Quantity, Shape, scaled
from search.domains.plan.reading.relevance import is_background, is_history
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.stems import listed, vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension

COUNT = "spec.devices.0.count"
HARDWARE = "spec.devices.0.hardware"
_ENGINE, _SUB_ENGINE = "spec.engine", "spec.lns.sub_mip_engine"
_SUB_SECONDS = "spec.lns.sub_mip_seconds"
_CLAUSE = 0.9  # less than a comma
_BARE = 1.6
_LIMIT_WITHOUT_UNIT = 1.7
_LIMIT = 2.2
_NEVER, _UNNAMED = 99.0, 3.0  # of an assignment
_IMPLAUSIBLE = 1.0  # a value outside the limits of the slot
_SPECIFIC = 0.5  # "cards to a node" says more than "cards"
_DOUBT = 0.2  # two slots nearer to each other than this are two readings
_BETTER = ("smaller", "faster", "quicker", "better", "cheaper", "lower")
DIFFERENCES = vocabulary("less more longer shorter fewer extra higher lower larger")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_LINKS = vocabulary(
    "of is are may = : to at be by than ( with from as a the be set equal equals stays "
    "about around most least no more not max min maximum minimum below above under "
    "within up only just exactly approximately roughly should must shall will was "
    "goes has have x * - for"
)


_BEFORE_ELLIPSIS = vocabulary(
    "for another gets or and vs versus then with to on that it than , wait no sorry "
    "make rather not just of only meant mean from : be actually as maybe"
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


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A value with the slot that it has in each kind that has one for it."""

    paths: Mapping[str, str]  # kind → slot
    # Kind → values in the spec's unit; several: variants
    values: Mapping[str, tuple[Any, ...]]
    tokens: tuple[int, ...]
    shape: Shape = Shape.SINGLE
    removes: bool = False  # the goal rules the value out
    choice: bool = False
    note: str = ""
    rivals: tuple[str, ...] = ()  # titles of other slots that fit as well
    quantity: Quantity | None = None
    strong: bool = False  # outranks weaker statements of the same slot
    # Kind → distance to the slot's name
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def at(self) -> int:
        """First token."""
        return self.tokens[0]


@dataclass(frozen=True)
class _Link:
    cost: float
    item: Item | None
    slot: Slot
    strong: bool = False


def bind(scene: Scene, kinds: Sequence[str], elsewhere: set[int]) -> list[Bound]:
    """Return what is bound, in the order of the text. Numbers without a slot are left out.

    `elsewhere` are tokens of parts that no job does; nothing there is bound.
    """
    heads = _heads(scene, kinds)
    links = {
        i: _links(scene, quantity, i, heads, kinds)
        for i, quantity in enumerate(scene.quantities)
        if quantity.start not in elsewhere
        and not _describes(scene, quantity)
        and not is_difference(scene, quantity)
        and not _is_told(scene, quantity)
    }
    _prefer_own_heads(scene, links)
    _rejected_levels(scene, links)
    found: list[Bound] = []
    for i, quantity in enumerate(scene.quantities):
        if i not in links or _is_ratio_of_waves(scene, quantity):
            continue
        bound = _of_them(scene, quantity, heads) or _bound(scene, quantity, links[i])
        if bound is None:
            bound = _elliptic(scene, quantity, found)
        if bound is not None:
            found.append(bound)
    starts = {b.quantity.start for b in found if b.quantity is not None}
    left = [scene.quantities[i] for i in links if scene.quantities[i].start not in starts]
    for quantity in reversed(left):
        bound = _before_its_like(scene, quantity, found)
        if bound is not None:
            found.append(bound)
    found += _phrases(scene, kinds)
    return sorted(found, key=lambda b: b.at)


def _of_them(
    scene: Scene, quantity: Quantity, heads: Sequence[tuple[Item, Slot, bool]]
) -> Bound | None:
    """Bind "not more than 4 of them" to the slot whose name was said last."""
    at = quantity.end + (scene.word(quantity.end) == "of")
    if quantity.units or scene.word(at) not in ("them", "these", "those"):
        return None
    if scene.word(quantity.start - 1) in ("the", "these", "those"):
        return None  # "for the two of them" counts what there is
    said = [
        (item.start, slot, item)
        for item, slot, _ in heads
        if slot.dimension is Dimension.COUNT
        and 0 < quantity.start - item.end <= 14
        and not scene.used.get(item.start, "").startswith("not done")
    ]
    if not said:
        return None
    start, slot, item = max(said, key=lambda row: row[0])
    if slot.path == COUNT or not _fits(scene, quantity, slot):
        return None
    del start
    tokens = (*range(quantity.start, at + 1), *range(item.start, item.end))
    return Bound(
        paths={slot.kind: slot.path},
        values={slot.kind: _values(scene, quantity, slot)},
        tokens=tokens,
        shape=quantity.shape,
        choice=quantity.choice,
        quantity=quantity,
    )


def _is_told(scene: Scene, quantity: Quantity) -> bool:
    """Account for a duration that is part of the story: "I was away for three days"."""
    if _is_code(scene, quantity):
        scene.use(range(quantity.start, quantity.end), "background")
        return True
    if not is_background(scene, quantity) and not is_history(scene, quantity):
        return False
    words = scene.words(quantity.start, quantity.end)
    scene.use(range(quantity.start, quantity.end), "background")
    scene.notes.append(f"“{words}” was read as part of the story, not as a limit")
    return True


def _is_code(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number is part of a code such as RF-113."""
    at = quantity.start
    if quantity.units or at < 2 or scene.word(at - 1) != "-":
        return False
    head = scene.tokens[at - 2]
    known = any(item.start <= at - 2 < item.end for item in scene.items)
    glued = scene.tokens[at].glued and scene.tokens[at - 1].glued
    return head.form is Form.WORD and head.text.isupper() and glued and not known


def _describes(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a quantity describes the input: "3 TB of embeddings"."""
    if (
        quantity.reading(Dimension.RATIO)
        and quantity.units
        and scene.word(quantity.end) in _BETTER
    ):
        scene.use(range(quantity.start, quantity.end), "a wish")
        scene.notes.append(
            f"“{scene.words(quantity.start, quantity.end + 1)}” is no limit of a job: the best "
            "found is reported"
        )
        return True
    if not quantity.units or scene.word(quantity.end) != "of":
        return False
    if any(
        item.of(Role.COUNTED) and 0 < item.start - quantity.end <= 2
        for item in scene.items
    ):
        scene.use(range(quantity.start, quantity.end), "describes the input")
        return True
    return False


def is_difference(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a quantity is a difference: "a minute less", "one higher"."""
    word, following = scene.word(quantity.end), scene.word(quantity.end + 1)
    than = scene.word(quantity.end + 2) == "than"
    if not quantity.units and following in ("fewer", "less", "more") and not than:
        return word not in DIFFERENCES
    if word not in DIFFERENCES:
        return False
    if scene.word(quantity.start - 1) in ("or", "for", "another", "gets"):
        return following == "than" and bool(quantity.units)
    return (
        word in ("higher", "lower", "larger")
        or bool(quantity.units)
        or following == "than"
    )


def _heads(scene: Scene, kinds: Sequence[str]) -> list[tuple[Item, Slot, bool]]:
    """Return the phrases that name a slot, for each kind that has it."""
    found = []
    for item in scene.items:
        for sense in item.senses:
            if sense.role is Role.HEAD:
                for kind in kinds if sense.kind == "common" else (sense.kind,):
                    slot = scene.lexicon.slots.get(kind, {}).get(sense.path)
                    if kind in kinds and slot is not None:
                        found.append((item, slot, sense.strong))
            elif (
                sense.role is Role.VALUE
                and sense.path == HARDWARE
                and sense.kind in kinds
            ):
                slot = scene.lexicon.slots[sense.kind][COUNT]
                found.append((item, slot, False))
            elif sense.role is Role.OUTSIDE and sense.path == "device":
                found += [
                    (item, scene.lexicon.slots[kind][COUNT], False)
                    for kind in kinds
                    if COUNT in scene.lexicon.slots[kind]
                ]
    return found


def _links(
    scene: Scene,
    quantity: Quantity,
    index: int,
    heads: Sequence[tuple[Item, Slot, bool]],
    kinds: Sequence[str],
) -> list[_Link]:
    """Return the slots that fit a quantity, nearest first."""
    best: dict[tuple[str, str], _Link] = {}
    for item, slot, strong in heads:
        if not _fits(scene, quantity, slot) or _announces(scene, quantity, item):
            continue
        # A lone "one" is a number only right in front of what it counts.
        behind = 0 <= item.start - quantity.end <= 1 and slot.dimension is Dimension.COUNT
        if not quantity.exact and not behind:
            continue
        cost = _cost(scene, quantity, item)
        if cost is None:
            continue
        if quantity.reading(slot.dimension or Dimension.COUNT) is None:
            cost += 0.4  # its unit would have to come from elsewhere
        cost -= 0.3 * strong + 0.03 * (item.end - item.start) + _SPECIFIC * slot.specific
        usual = _is_plausible(quantity, slot) and _is_usual(quantity, slot)
        cost += _IMPLAUSIBLE * (not usual)
        key = (slot.kind, slot.path)
        if key not in best or cost < best[key].cost:
            best[key] = _Link(cost, item, slot, strong)
    if quantity.units:
        for kind in kinds:
            for slot in scene.lexicon.slots[kind].values():
                key = (kind, slot.path)
                far = key not in best or best[key].cost > _BARE
                if (
                    slot.bare
                    and far
                    and _fits(scene, quantity, slot)
                    and _is_usual(quantity, slot)
                ):
                    best[key] = _Link(_BARE, None, slot)
    _names_first(best)
    limit = _LIMIT if quantity.units else _LIMIT_WITHOUT_UNIT
    return sorted(
        (link for link in best.values() if link.cost <= limit), key=lambda link: link.cost
    )


def _announces(scene: Scene, quantity: Quantity, item: Item) -> bool:
    """Return whether a number counts the values that follow: "two thicknesses, 0.8 and 1.6 mm"."""
    if quantity.units or quantity.shape is not Shape.SINGLE or item.start < quantity.end:
        return False
    things = (
        item.of(Role.NOUN)
        and not item.of(Role.VALUE)
        and COUNT not in {s.path for s in item.senses}
    )
    if things and item.start - quantity.end <= 2:
        return True  # "two patches" are two antennas
    following = [q for q in scene.quantities if 0 <= q.start - item.end <= 3 and q.units]
    return bool(following) and len(following[0].numbers) == quantity.numbers[0]


def _names_first(links: dict[tuple[str, str], _Link]) -> None:
    """Let a length go to a slot that is named near it, not to one that only fits by its unit."""
    for kind in {kind for kind, _ in links}:
        own = {key: link for key, link in links.items() if key[0] == kind}
        named = [
            link.cost
            for link in own.values()
            if link.item is not None and link.slot.dimension is Dimension.LENGTH
        ]
        if not named or min(named) > _LIMIT:
            continue
        for key, link in own.items():
            if link.item is None and link.slot.dimension is Dimension.LENGTH:
                cost = max(link.cost, min(named) + _DOUBT)
                links[key] = _Link(cost, None, link.slot, link.strong)


def _is_plausible(quantity: Quantity, slot: Slot) -> bool:
    """Return whether the values lie within the limits of the slot; a level's sign is free."""
    if slot.negative or slot.dimension is None:
        return True
    reading = quantity.reading(slot.dimension) or ()
    low, high = slot.least, slot.most
    return all((low is None or v >= low) and (high is None or v <= high) for v in reading)


def _is_usual(quantity: Quantity, slot: Slot) -> bool:
    """Return whether the value alone speaks for a slot: 1.6 mm is a thickness, 30 mm a board."""
    if slot.usual is None or slot.dimension is None:
        return True
    low, high = slot.usual
    return all(low <= v <= high for v in quantity.reading(slot.dimension) or ())


def _fits(scene: Scene, quantity: Quantity, slot: Slot) -> bool:
    if slot.dimension is None:
        return False
    reading = quantity.reading(slot.dimension)
    if reading is None:
        return (
            not quantity.units
            and _unit_nearby(scene, quantity, slot.dimension) is not None
        )
    if slot.is_integer and any(v != int(v) for v in reading if v == v and abs(v) < 1e15):
        return _points_thousands(scene, quantity)
    return not (
        slot.dimension is Dimension.RATIO and not quantity.units and max(reading) > 1
    )


def _points_thousands(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a whole number is written with a point between thousands: 8.192."""
    text = scene.tokens[quantity.start].text
    return (
        quantity.shape is Shape.SINGLE
        and not quantity.units
        and _THOUSANDS.fullmatch(text) is not None
    )


def _unit_nearby(scene: Scene, quantity: Quantity, dimension: Dimension) -> float | None:
    """Return the factor of the nearest unit of a dimension, for a number without one."""
    if dimension in (Dimension.COUNT, Dimension.RATIO, Dimension.TIME):
        return None
    near = [
        (abs(other.start - quantity.start), unit.factor)
        for other in scene.quantities
        for unit in other.units
        if unit.dimension is dimension
        and scene.sentence(other.start) >= scene.sentence(quantity.start) - 1
    ]
    if near:
        return min(near)[1]
    # A level or a length beside its slot's name has one usual unit.
    usual = (
        Dimension.LEVEL,
        Dimension.RESISTANCE,
        Dimension.LENGTH,
        Dimension.CONDUCTIVITY,
        Dimension.MEMORY,
    )
    return 1.0 if dimension in usual else None


def _cost(scene: Scene, quantity: Quantity, item: Item) -> float | None:
    """Return how far a slot's name is from a quantity; None if too far or cut off."""
    if item.start >= quantity.end:
        option = (
            scene.word(quantity.start - 2) == "-"
            and scene.tokens[quantity.start - 1].glued
        )
        seeds = scene.word(item.start) == "seeds" and quantity.shape is Shape.SINGLE
        if scene.word(quantity.start - 1) == "=" or option or seeds:
            return None  # key=value, -s 7: the name stands in front
        between = range(quantity.end, item.start)
        cost, link, plain = 0.0, 0.25, 0.3
    elif item.end <= quantity.start:
        between = range(item.end, quantity.start)
        cost, link, plain = 0.1, 0.12, 0.35
    else:
        return None
    if len(between) > 9:
        return None
    measured = {i for q in scene.quantities if q.units for i in range(q.start, q.end)}
    numbers = (
        {i for q in scene.quantities for i in q.tokens} - set(quantity.tokens) - measured
    )
    values = {i for x in scene.with_role(Role.VALUE) for i in range(x.start, x.end)}
    for i in between:
        token = scene.tokens[i]
        if scene.ends_sentence(i) and token.word != "\n":
            return None
        if token.word == "\n":
            cost += 2.0
        elif i in numbers:
            cost += 1.2
        elif i in values:
            cost += 0.05
        elif i in measured and not quantity.units:
            cost += 0.15
        elif i in measured:
            cost += 0.6
        elif token.word in _LINKS:
            cost += link
        elif token.word in (",", "and", "or", "/", ")"):
            cost += 0.9 if token.word != ")" else 0.3
        elif token.form in (Form.FILE, Form.NAME):
            cost += 1.0
        else:
            cost += plain
    return cost


def _is_ratio_of_waves(scene: Scene, quantity: Quantity) -> bool:
    before = {scene.word(i) for i in range(max(0, quantity.start - 6), quantity.start)}
    return "vswr" in before and not quantity.units


def _rejected_levels(scene: Scene, links: dict[int, list[_Link]]) -> None:
    """Give a level to the band to reject where its sentence speaks of one and says "at least"."""
    for i, options in links.items():
        quantity = scene.quantities[i]
        if not any(link.slot.path == "spec.bands.0.s11_max_db" for link in options):
            continue
        slot = scene.lexicon.slots["antenna"]["spec.avoid.0.s11_min_db"]
        sentence = scene.sentence(quantity.start)
        rejects = any(
            s.path == "spec.avoid.0.f_lo_hz"
            for item in scene.with_role(Role.HEAD)
            if scene.sentence(item.start) == sentence
            for s in item.of(Role.HEAD)
        )
        before = any(
            0 <= quantity.start - m.end <= 1 or 0 <= m.start - quantity.end <= 1
            for m in scene.marks("least")
        )
        if rejects and before:
            links[i] = [_Link(0.0, None, slot)]


def _prefer_own_heads(scene: Scene, links: dict[int, list[_Link]]) -> None:
    """Leave each phrase that names a slot to one quantity, so that the sum of distances is least.

    The nearest quantity alone would be wrong: in "er 4.4 tan d .02" the phrase "tan d" is as near
    to 4.4, which the other phrase needs.
    """
    owners = _owners(links)
    for i, options in links.items():
        kept = []
        for link in options:
            if link.item is not None:
                owner = owners.get((link.item.start, link.slot.dimension), i)
                if owner != i and not _shares(scene, link.item, owner, i):
                    if link.slot.bare and scene.quantities[i].units:
                        kept.append(_Link(_BARE, None, link.slot))
                    continue
            kept.append(link)
        links[i] = sorted(kept, key=lambda link: link.cost)


def _owners(
    links: Mapping[int, Sequence[_Link]],
) -> dict[tuple[int, Dimension | None], int]:
    """Return phrase → quantity that it is for, by minimal total cost (the Hungarian method).

    A phrase can name slots of several dimensions: "10 cells of 3 mm".
    """
    rows = [i for i in links if any(link.item is not None for link in links[i])]
    named = [link for i in rows for link in links[i] if link.item is not None]
    heads = list(dict.fromkeys(_head(link) for link in named))
    if not rows or not heads:
        return {}
    column = {head: k for k, head in enumerate(heads)}
    costs = np.full((len(rows), len(heads) + len(rows)), _NEVER)
    for r, i in enumerate(rows):
        costs[r, len(heads) + r] = min(
            (link.cost for link in links[i] if link.item is None), default=_UNNAMED
        )
        for link in links[i]:
            if link.item is not None:
                at = column[_head(link)]
                costs[r, at] = min(costs[r, at], link.cost)
    chosen = linear_sum_assignment(costs)
    return {
        heads[at]: rows[r]
        for r, at in zip(*(map(int, axis) for axis in chosen), strict=True)
        if at < len(heads) and costs[r, at] < _NEVER
    }


def _head(link: _Link) -> tuple[int, Dimension | None]:
    assert link.item is not None
    return link.item.start, link.slot.dimension


def _shares(scene: Scene, item: Item, owner: int, other: int) -> bool:
    """Return whether two quantities on one side of a name are alternatives: "seed 1 or seed 2"."""
    a, b = scene.quantities[owner], scene.quantities[other]
    between = [scene.word(i) for i in range(min(a.end, b.end), max(a.start, b.start))]
    same_side = (a.start >= item.end) == (b.start >= item.end)
    return same_side and any(w in ("or", "vs", "versus", "and", "then") for w in between)


def _bound(scene: Scene, quantity: Quantity, links: Sequence[_Link]) -> Bound | None:
    if not links:
        return None
    paths: dict[str, str] = {}
    values: dict[str, tuple[Any, ...]] = {}
    costs: dict[str, float] = {}
    notes: list[str] = []
    rivals: list[str] = []
    items: list[Item] = []
    best = links[0].cost
    for link in links:
        kind = link.slot.kind
        if kind in paths:
            close = link.cost - _best_of(links, kind) < _DOUBT
            if close and link.item is not None and not link.item.mark("generic"):
                rivals.append(link.slot.title)
            continue
        # A name of a slot near the quantity decides for its kind; others only fit by the unit.
        paths[kind] = link.slot.path
        costs[kind] = link.cost - best
        values[kind] = _values(scene, quantity, link.slot)
        notes.append(_note(quantity, link.slot))
        if link.item is not None and link.cost - best < 1.0:
            items.append(link.item)
    tokens = set(range(quantity.start, quantity.end))
    for item in items:
        if item.of(Role.HEAD):
            tokens |= set(range(item.start, item.end))
    return Bound(
        paths=paths,
        values=values,
        tokens=(quantity.start, *sorted(tokens - {quantity.start})),
        shape=quantity.shape,
        choice=quantity.choice,
        note="; ".join(dict.fromkeys(note for note in notes if note)),
        rivals=tuple(rivals),
        quantity=quantity,
        costs=costs,
        strong=links[0].strong,
    )


def _best_of(links: Sequence[_Link], kind: str) -> float:
    return min(link.cost for link in links if link.slot.kind == kind)


def _values(scene: Scene, quantity: Quantity, slot: Slot) -> tuple[Any, ...]:
    assert slot.dimension is not None
    reading = quantity.reading(slot.dimension)
    if reading is None:
        factor = _unit_nearby(scene, quantity, slot.dimension)
        assert factor is not None
        reading = tuple(scaled(n, factor) for n in quantity.numbers)
    whole = all(v == int(v) for v in reading if v == v and abs(v) < 1e15)
    if slot.is_integer and not whole and _points_thousands(scene, quantity):
        reading = tuple(float(round(v * 1000)) for v in reading)
    if slot.binary and quantity.suffix == "k":
        reading = tuple(v / 1000 * 1024 for v in reading)
    if slot.negative:
        reading = tuple(-abs(v) for v in reading)
    return tuple(plain(v, is_integer=slot.is_integer) for v in reading)


def plain(value: float, *, is_integer: bool) -> Any:
    """Return a number as JSON has it: whole ones of an integer slot without a fraction."""
    if value != value or abs(value) >= 1e15:
        return value
    return int(value) if is_integer or value == int(value) else value


def _note(quantity: Quantity, slot: Slot) -> str:
    assert slot.dimension is not None
    if slot.binary and quantity.suffix == "k":
        return f"{quantity.numbers[0]:g}k of samples is read as {quantity.numbers[0] * 1024:,.0f}"
    if slot.dimension is Dimension.MEMORY:
        return quantity.note(slot.dimension)
    return ""


def _elliptic(scene: Scene, quantity: Quantity, before: Sequence[Bound]) -> Bound | None:
    """Bind a bare number like the quantity before it: "8 GPUs or 16", "one minute, b for two"."""
    if quantity.units or not quantity.exact:
        return None
    at = quantity.start - 1
    while scene.word(at) in _LIMITS:
        at -= 1
    near = scene.word(at)
    sentence = scene.sentence(quantity.start)
    what_if = any(scene.sentence(m.start) == sentence for m in scene.marks("what_if"))
    of_value = scene.word(quantity.end) in ("of", "on", "with", "by") and any(
        item.start == quantity.end + 1 and item.of(Role.VALUE) for item in scene.items
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
    beside_name = any(
        scene.used.get(t, "").startswith("file") for t in (at, at - 1)
    ) or any(
        item.end == quantity.start and item.of(Role.FILE_NOUN) for item in scene.items
    )
    if not candidates or not (
        near in _BEFORE_ELLIPSIS | _ALSO_BEFORE or what_if or beside_name or owned
    ):
        return None
    wanted = Dimension.TIME if near in ("for", "another", "gets") else None
    devices = [c for c in candidates if COUNT in c.paths.values()]
    if what_if and not devices and near not in _BEFORE_ELLIPSIS:
        return None
    timed = any(Dimension.TIME in _dimensions(scene, c) for c in candidates)
    if devices and (
        what_if or near in ("as", "than", "on", "to", "got", "have") or not timed
    ):
        wanted = None
        candidates = devices
    other = next(
        (c for c in candidates if wanted in _dimensions(scene, c)), candidates[0]
    )
    words = {scene.word(i) for i in range(other.at, quantity.start)}
    of_time = wanted is not None and wanted not in _dimensions(scene, other)
    if of_time or not (words & _ALTERNATIVE or what_if or beside_name or owned):
        return None
    return _like(scene, quantity, other)


def _before_its_like(
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


def _like(scene: Scene, quantity: Quantity, other: Bound) -> Bound | None:
    """Bind a bare number to the slots of another one, with its unit."""
    unit = other.quantity.units if other.quantity else ()
    suffix = other.quantity.suffix if other.quantity else ""
    like = replace(quantity, units=unit, suffix=quantity.suffix or suffix)
    values = {}
    for kind, path in other.paths.items():
        slot = scene.lexicon.slots[kind][path]
        if not _fits(scene, like, slot) or not _is_plausible(like, slot):
            return None
        values[kind] = _values(scene, like, slot)
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


def _named_choices(scene: Scene, kinds: Sequence[str], taken: set[int]) -> list[Bound]:
    """Bind "memory model: weights", "search=random": a choice right behind its slot's name."""
    found = []
    for item in scene.with_role(Role.HEAD):
        at = item.end
        while scene.word(at) in (":", "=", "is", "by", "of", "at", '"', "the"):
            at += 1
        for sense in item.of(Role.HEAD):
            slot = scene.lexicon.slots.get(sense.kind, {}).get(sense.path)
            if slot is None or sense.kind not in kinds or at in taken or at in scene.used:
                continue
            for choice in slot.choices:
                words = choice.replace("-", " ").replace("_", " ").split()
                end = at + len(words)
                said = [scene.word(i) for i in range(at, end)]
                if at > item.end - 1 and said == words and at < len(scene.tokens):
                    found.append(
                        Bound(
                            paths={sense.kind: slot.path},
                            values={sense.kind: (choice,)},
                            tokens=(*range(at, end), *range(item.start, item.end)),
                        )
                    )
                    break
    return found


def _every_choice(scene: Scene, kinds: Sequence[str], stated: set[str]) -> list[Bound]:
    """Bind "all engines", "each of the three solvers" to all choices, where none is named."""
    found = []
    for item in scene.with_role(Role.HEAD):
        before = [scene.word(i) for i in range(max(0, item.start - 4), item.start)]
        plural = scene.word(item.end - 1).endswith("s")
        every = {"every", "each"} & set(before[-2:]) or (
            plural and {"all", "3", "different", "available"} & set(before)
        )
        for sense in item.of(Role.HEAD):
            slot = scene.lexicon.slots.get(sense.kind, {}).get(sense.path)
            if slot is None or sense.kind not in kinds or not every:
                continue
            if slot.choices and not slot.is_list and slot.path not in stated:
                scene.use(range(max(0, item.start - 2), item.start), slot.path)
                found.append(
                    Bound(
                        paths={sense.kind: slot.path},
                        values={sense.kind: slot.choices},
                        tokens=tuple(range(item.start, item.end)),
                        shape=Shape.LIST,
                        choice=True,
                    )
                )
    return found[:1]


def _phrases(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Bind phrases that state a value by themselves: engines, hardware, switches."""
    found: list[Bound] = []
    for item in scene.items:
        senses = [s for s in item.of(Role.VALUE) if s.kind in kinds]
        if not senses:
            continue
        paths: dict[str, str] = {}
        values: dict[str, tuple[Any, ...]] = {}
        for sense in sorted(senses, key=lambda s: not _named(scene, item, s)):
            if sense.kind not in paths:
                paths[sense.kind] = _inner(scene, item, sense)
                values[sense.kind] = (sense.value,)
        found.append(
            Bound(paths=paths, values=values, tokens=tuple(range(item.start, item.end)))
        )
    found += _vswr(scene, kinds)
    found += _named_choices(scene, kinds, {t for b in found for t in b.tokens})
    found += _every_choice(scene, kinds, {p for b in found for p in b.paths.values()})
    triple = scene.lexicon.slots.get("compile", {}).get("spec.target.triple")
    if triple is not None and "compile" in kinds:
        found += [
            Bound(
                paths={"compile": triple.path},
                values={"compile": (token.word,)},
                tokens=(i,),
                strong=True,
            )
            for i, token in enumerate(scene.tokens)
            if token.form is Form.TRIPLE
        ]
    return found


def _inner(scene: Scene, item: Item, sense: Sense) -> str:
    """Return the slot of a choice: an engine named beside "sub-MIPs" is theirs."""
    if sense.path != _ENGINE:
        return sense.path
    near = [
        (abs(other.start - item.start), s.path)
        for other in scene.with_role(Role.HEAD)
        for s in other.of(Role.HEAD)
        if s.path in (_SUB_ENGINE, _SUB_SECONDS, _ENGINE)
        and -2 <= item.start - other.end <= 7
        and scene.crossing(other.start, item.start) < _CLAUSE
    ]
    return _SUB_ENGINE if near and min(near)[1] != _ENGINE else _ENGINE


def _named(scene: Scene, item: Item, sense: Sense) -> bool:
    """Return whether the slot's own name is near a phrase."""
    return any(
        s.path == sense.path
        for other in scene.items
        for s in other.of(Role.HEAD)
        if abs(other.start - item.start) <= 5
        and scene.crossing(other.start, item.start) < 3
    )


def tokens_of_bounds(bounds: Iterable[Bound]) -> set[int]:
    """Return all tokens that some bounds take."""
    return {i for bound in bounds for i in bound.tokens}
