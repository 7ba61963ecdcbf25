"""Binding of every quantity and phrase of a goal to its slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search.domains.plan.reading.binding.assignment import (
    assign_heads,
    move_rejected_levels,
)
from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.binding.conversion import note_of, values_of
from search.domains.plan.reading.binding.ellipsis import (
    bind_like_earlier,
    bind_like_next,
    bind_of_them,
)
from search.domains.plan.reading.binding.learned import NoRoles, Roles, with_roles
from search.domains.plan.reading.binding.links import DOUBT, Link, heads_of, links_of
from search.domains.plan.reading.binding.phrases import bind_phrases, is_wave_ratio
from search.domains.plan.reading.binding.without_slot import (
    accounted_as_input,
    accounted_as_story,
    is_difference,
)
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.scene import Scene


def bind(
    scene: Scene, kinds: Sequence[str], elsewhere: set[int], roles: Roles | None = None
) -> list[Bound]:
    """Return what is bound, in the order of the text. Numbers without a slot are left out.

    `elsewhere` are tokens of parts that no job does; nothing there is bound. `roles` has the last
    word where it is sure.
    """
    heads = heads_of(scene, kinds)
    links = {
        i: links_of(scene, quantity, heads, kinds)
        for i, quantity in enumerate(scene.quantities)
        if quantity.start not in elsewhere
        and not accounted_as_input(scene, quantity)
        and not is_difference(scene, quantity)
        and not accounted_as_story(scene, quantity)
    }
    near = {i: tuple(row) for i, row in links.items()}
    assign_heads(scene, links)
    move_rejected_levels(scene, links)
    bounds: list[Bound] = []
    for i, quantity in enumerate(scene.quantities):
        if i not in links or is_wave_ratio(scene, quantity):
            continue
        if _is_denied(scene, quantity, bounds):
            continue
        bound = bind_of_them(scene, quantity, heads, bounds) or _bound(
            scene, quantity, links[i]
        )
        if bound is None:
            bound = bind_like_earlier(scene, quantity, bounds)
        if bound is not None:
            bounds.append(bound)
    starts = {b.quantity.start for b in bounds if b.quantity is not None}
    left = [scene.quantities[i] for i in links if scene.quantities[i].start not in starts]
    for quantity in reversed(left):
        bound = bind_like_next(scene, quantity, bounds)
        if bound is not None:
            bounds.append(bound)
    near = {
        i: row for i, row in near.items() if not is_wave_ratio(scene, scene.quantities[i])
    }
    bounds = with_roles(scene, kinds, near, bounds, roles or NoRoles())
    bounds += bind_phrases(scene, kinds)
    return sorted(bounds, key=lambda b: b.at)


def _is_denied(scene: Scene, quantity: Quantity, before: Sequence[Bound]) -> bool:
    """Return whether "75 ohm, not 50" rules out the number; it is accounted for."""
    at = quantity.start - 1
    last = before[-1] if before else None
    if scene.word(at) != "not" or last is None or last.quantity is None:
        return False
    if at - last.tokens[-1] > 2 and at - last.quantity.end > 2:
        return False
    if quantity.units and quantity.units != last.quantity.units:
        return False
    scene.use(range(at, quantity.end), "ruled out")
    return True


def _bound(scene: Scene, quantity: Quantity, links: Sequence[Link]) -> Bound | None:
    if not links:
        return None
    paths: dict[str, str] = {}
    values: dict[str, tuple[Any, ...]] = {}
    costs: dict[str, float] = {}
    notes: list[str] = []
    rivals: list[str] = []
    items: list[Phrase] = []
    best = links[0].cost
    for link in links:
        kind = link.slot.kind
        if kind in paths:
            close = link.cost - _best_of(links, kind) < DOUBT
            if close and link.phrase is not None and not link.phrase.mark("generic"):
                rivals.append(link.slot.title)
            continue
        # A name of a slot near the quantity decides for its kind; others only fit by the unit.
        paths[kind] = link.slot.path
        costs[kind] = link.cost - best
        values[kind] = values_of(scene, quantity, link.slot)
        notes.append(note_of(quantity, link.slot))
        if link.phrase is not None and link.cost - best < 1.0:
            items.append(link.phrase)
    tokens = set(range(quantity.start, quantity.end))
    for phrase in items:
        if phrase.of(Role.HEAD):
            tokens |= set(range(phrase.start, phrase.end))
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


def _best_of(links: Sequence[Link], kind: str) -> float:
    return min(link.cost for link in links if link.slot.kind == kind)
