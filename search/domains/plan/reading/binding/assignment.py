"""Slot names assigned to quantities at minimal total distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from search.domains.plan.reading.binding.links import BARE, Link
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.units import Dimension

_NEVER = 99.0  # of an assignment
_UNNAMED = 3.0


def assign_heads(scene: Scene, links: dict[int, list[Link]]) -> None:
    """Leave each phrase that names a slot to one quantity, so that the sum of distances is least.

    The nearest quantity alone would be wrong: in "er 4.4 tan d .02" the phrase "tan d" is as near
    to 4.4, which the other phrase needs.
    """
    owners = _owners(links)
    for i, options in links.items():
        own_links = []
        for link in options:
            if link.phrase is not None:
                owner = owners.get((link.phrase.start, link.slot.dimension), i)
                if owner != i and not _shares(scene, link.phrase, owner, i):
                    if link.slot.bare and scene.quantities[i].units:
                        own_links.append(Link(BARE, None, link.slot))
                    continue
            own_links.append(link)
        links[i] = sorted(own_links, key=lambda link: link.cost)


def _owners(
    links: Mapping[int, Sequence[Link]],
) -> dict[tuple[int, Dimension | None], int]:
    """Return phrase → quantity that it is for, by minimal total cost (the Hungarian method).

    A phrase can name slots of several dimensions: "10 cells of 3 mm".
    """
    rows = [i for i in links if any(link.phrase is not None for link in links[i])]
    named = [link for i in rows for link in links[i] if link.phrase is not None]
    heads = list(dict.fromkeys(_head(link) for link in named))
    if not rows or not heads:
        return {}
    column = {head: k for k, head in enumerate(heads)}
    costs = np.full((len(rows), len(heads) + len(rows)), _NEVER)
    for r, i in enumerate(rows):
        costs[r, len(heads) + r] = min(
            (link.cost for link in links[i] if link.phrase is None), default=_UNNAMED
        )
        for link in links[i]:
            if link.phrase is not None:
                at = column[_head(link)]
                costs[r, at] = min(costs[r, at], link.cost)
    chosen = linear_sum_assignment(costs)
    return {
        heads[at]: rows[r]
        for r, at in zip(*(map(int, axis) for axis in chosen), strict=True)
        if at < len(heads) and costs[r, at] < _NEVER
    }


def _head(link: Link) -> tuple[int, Dimension | None]:
    assert link.phrase is not None
    return link.phrase.start, link.slot.dimension


def _shares(scene: Scene, phrase: Phrase, owner: int, other: int) -> bool:
    """Return whether two quantities on one side of a name are alternatives: "seed 1 or seed 2"."""
    a, b = scene.quantities[owner], scene.quantities[other]
    between = [scene.word(i) for i in range(min(a.end, b.end), max(a.start, b.start))]
    same_side = (a.start >= phrase.end) == (b.start >= phrase.end)
    return same_side and any(w in ("or", "vs", "versus", "and", "then") for w in between)


def move_rejected_levels(scene: Scene, links: dict[int, list[Link]]) -> None:
    """Give a level to the band to reject where its sentence speaks of one and says "at least"."""
    for i, options in links.items():
        quantity = scene.quantities[i]
        if not any(link.slot.path == "spec.bands.0.s11_max_db" for link in options):
            continue
        slot = scene.lexicon.slots["antenna"]["spec.avoid.0.s11_min_db"]
        sentence = scene.sentence(quantity.start)
        rejects = any(
            s.path == "spec.avoid.0.f_lo_hz"
            for phrase in scene.with_role(Role.HEAD)
            if scene.sentence(phrase.start) == sentence
            for s in phrase.of(Role.HEAD)
        )
        before = any(
            0 <= quantity.start - m.end <= 1 or 0 <= m.start - quantity.end <= 1
            for m in scene.marks("least")
        )
        if rejects and before:
            links[i] = [Link(0.0, None, slot)]
