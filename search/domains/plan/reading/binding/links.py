"""Slots that fit a quantity, by the distance of their names in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.domains.plan.reading.binding.bound import COUNT, HARDWARE
from search.domains.plan.reading.binding.conversion import (
    fits,
    is_plausible,
    is_usual,
)
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension

BARE = 1.6
_LIMIT_WITHOUT_UNIT = 1.7
_LIMIT = 2.2
_IMPLAUSIBLE = 1.0  # a value outside the limits of the slot
_SPECIFIC = 0.5  # "cards to a node" says more than "cards"
DOUBT = 0.2  # two slots nearer to each other than this are two readings
_LINKS = vocabulary(
    "of is are may = : to at be by than ( with from as a the be set equal equals stays "
    "about around most least no more not max min maximum minimum below above under "
    "within up only just exactly approximately roughly should must shall will was "
    "goes has have x * - for"
)


@dataclass(frozen=True)
class Link:
    """Slot that fits a quantity, with its name in the text and the distance to it."""

    cost: float
    phrase: Phrase | None  # the name; None: the slot fits by the unit alone
    slot: Slot
    strong: bool = False


def heads_of(scene: Scene, kinds: Sequence[str]) -> list[tuple[Phrase, Slot, bool]]:
    """Return the phrases that name a slot, for each kind that has it."""
    heads = []
    for phrase in scene.items:
        for sense in phrase.senses:
            if sense.role is Role.HEAD:
                for kind in kinds if sense.kind == "common" else (sense.kind,):
                    slot = scene.lexicon.slots.get(kind, {}).get(sense.path)
                    if kind in kinds and slot is not None:
                        heads.append((phrase, slot, sense.strong))
            elif (
                sense.role is Role.VALUE
                and sense.path == HARDWARE
                and sense.kind in kinds
            ):
                slot = scene.lexicon.slots[sense.kind][COUNT]
                heads.append((phrase, slot, False))
            elif sense.role is Role.OUTSIDE and sense.path == "device":
                heads += [
                    (phrase, scene.lexicon.slots[kind][COUNT], False)
                    for kind in kinds
                    if COUNT in scene.lexicon.slots[kind]
                ]
    return heads


def links_of(
    scene: Scene,
    quantity: Quantity,
    heads: Sequence[tuple[Phrase, Slot, bool]],
    kinds: Sequence[str],
) -> list[Link]:
    """Return the slots that fit a quantity, nearest first."""
    best: dict[tuple[str, str], Link] = {}
    for phrase, slot, strong in heads:
        if not fits(scene, quantity, slot) or _announces(scene, quantity, phrase):
            continue
        # A lone "one" is a number only right in front of what it counts.
        behind = (
            0 <= phrase.start - quantity.end <= 1 and slot.dimension is Dimension.COUNT
        )
        if not quantity.exact and not behind:
            continue
        cost = _cost(scene, quantity, phrase)
        if cost is None:
            continue
        if quantity.reading(slot.dimension or Dimension.COUNT) is None:
            cost += 0.4  # its unit would have to come from elsewhere
        cost -= (
            0.3 * strong + 0.03 * (phrase.end - phrase.start) + _SPECIFIC * slot.specific
        )
        usual = is_plausible(quantity, slot) and is_usual(quantity, slot)
        cost += _IMPLAUSIBLE * (not usual)
        key = (slot.kind, slot.path)
        if key not in best or cost < best[key].cost:
            best[key] = Link(cost, phrase, slot, strong)
    if quantity.units:
        for kind in kinds:
            for slot in scene.lexicon.slots[kind].values():
                key = (kind, slot.path)
                far = key not in best or best[key].cost > BARE
                if (
                    slot.bare
                    and far
                    and fits(scene, quantity, slot)
                    and is_usual(quantity, slot)
                ):
                    best[key] = Link(BARE, None, slot)
    _names_first(best)
    _unusual_last(quantity, best)
    limit = _LIMIT if quantity.units else _LIMIT_WITHOUT_UNIT
    return sorted(
        (link for link in best.values() if link.cost <= limit), key=lambda link: link.cost
    )


def _announces(scene: Scene, quantity: Quantity, phrase: Phrase) -> bool:
    """Return whether a number counts the values that follow: "two thicknesses, 0.8 and 1.6 mm"."""
    if (
        quantity.units
        or quantity.shape is not Shape.SINGLE
        or phrase.start < quantity.end
    ):
        return False
    things = (
        phrase.of(Role.NOUN)
        and not phrase.of(Role.VALUE)
        and COUNT not in {s.path for s in phrase.senses}
    )
    if things and phrase.start - quantity.end <= 2:
        return True  # "two patches" are two antennas
    following = [
        q for q in scene.quantities if 0 <= q.start - phrase.end <= 3 and q.units
    ]
    return bool(following) and len(following[0].numbers) == quantity.numbers[0]


def _names_first(links: dict[tuple[str, str], Link]) -> None:
    """Let a length go to a slot that is named near it, not to one that only fits by its unit."""
    for kind in {kind for kind, _ in links}:
        own = {key: link for key, link in links.items() if key[0] == kind}
        named = [
            link.cost
            for link in own.values()
            if link.phrase is not None and link.slot.dimension is Dimension.LENGTH
        ]
        if not named or min(named) > _LIMIT:
            continue
        for key, link in own.items():
            if link.phrase is None and link.slot.dimension is Dimension.LENGTH:
                cost = max(link.cost, min(named) + DOUBT)
                links[key] = Link(cost, None, link.slot, link.strong)


def _unusual_last(quantity: Quantity, links: dict[tuple[str, str], Link]) -> None:
    """Let "1.575 mm board" be the thickness: no board is so small, whatever word stands near."""
    for key, link in list(links.items()):
        if is_usual(quantity, link.slot) or link.slot.usual is None:
            continue
        rivals = [
            other
            for (kind, path), other in links.items()
            if kind == key[0]
            and path != key[1]
            and other.slot.dimension is link.slot.dimension
            and other.slot.usual is not None
            and is_usual(quantity, other.slot)
        ]
        if rivals:
            del links[key]


def _cost(scene: Scene, quantity: Quantity, phrase: Phrase) -> float | None:
    """Return how far a slot's name is from a quantity; None if too far or cut off."""
    if phrase.start >= quantity.end:
        option = (
            scene.word(quantity.start - 2) == "-"
            and scene.tokens[quantity.start - 1].glued
            and scene.tokens[quantity.start - 1].form is Form.WORD  # not "-> 4 GPUs"
        )
        seeds = scene.word(phrase.start) == "seeds" and quantity.shape is Shape.SINGLE
        if scene.word(quantity.start - 1) == "=" or option or seeds:
            return None  # key=value, -s 7: the name stands in front
        between = range(quantity.end, phrase.start)
        cost, link, plain = 0.0, 0.25, 0.3
    elif phrase.end <= quantity.start:
        between = range(phrase.end, quantity.start)
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
