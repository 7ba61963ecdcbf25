"""Numbers whose role the grammar leaves open, bound by the learned model where it is sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.binding.conversion import (
    fits,
    is_plausible,
    is_usual,
    note_of,
    values_of,
)
from search.domains.plan.reading.binding.links import Link
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.roles.features import NOTHING, Candidate
from search.domains.plan.reading.scene import Scene

# Probabilities from which the model decides, chosen on the fifth author's goals with a model that
# had not seen them; of their 251 numbers, 180 of 185 were right where a slot had at least 0.9, and
# 41 of 47 where `NOTHING` had at least 0.5.
BIND = 0.6  # a slot gets the number that the grammar left
DROP = 0.85  # the grammar's slot loses its number to `NOTHING`
CHANGE = 0.85  # or to another slot
SETTLE = 0.7  # one of two slots that are equally near gets the number
UNDERLINE = 0.4  # of `NOTHING`: the number is underlined and not asked about
_COMPUTED = ("spec.bands.0.f_hi_hz",)  # comes with the lower edge


class Roles(Protocol):
    """Something that knows the roles of numbers, such as `roles.model.RoleModel`."""

    def shares(
        self, scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
    ) -> Mapping[str, float]:
        """Return the probability of each slot and of `NOTHING`; empty: no opinion."""
        ...


@dataclass(frozen=True, kw_only=True)
class NoRoles:
    """No model: the grammar alone decides."""

    def shares(
        self, scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
    ) -> Mapping[str, float]:
        """Return no opinion."""
        return {}


def with_roles(
    scene: Scene,
    kinds: Sequence[str],
    near: Mapping[int, Sequence[Link]],
    found: Sequence[Bound],
    roles: Roles,
) -> list[Bound]:
    """Return the bindings after the model has been asked about each number.

    By its probability it binds what the grammar left (`BIND`), drops or moves what the grammar
    bound (`DROP`, `CHANGE`), and settles between two slots that are equally near (`SETTLE`).
    near: quantity → slots with their names in the text.
    """
    ruled = {b.quantity.start: b for b in found if b.quantity is not None}
    bounds = list(found)
    for i, links in near.items():
        quantity = scene.quantities[i]
        if scene.used.get(quantity.start) == "ruled out":
            continue
        bound = ruled.get(quantity.start)
        candidates = _candidates(scene, kinds, quantity, links, bound, found)
        shares = roles.shares(scene, quantity, candidates)
        if not shares:
            continue
        scene.roles[quantity.start] = dict(shares)
        best = max(shares, key=lambda path: shares[path])
        if bound is None and best != NOTHING and shares[best] >= BIND and quantity.exact:
            bounds.append(_bound(scene, kinds, quantity, best))
        elif bound is not None and best == NOTHING and _is_told(scene, quantity):
            continue
        elif bound is not None and best == NOTHING and shares[best] >= DROP:
            bounds.remove(bound)
            scene.use(range(quantity.start, quantity.end), "background")
            words = scene.words(quantity.start, quantity.end)
            scene.notes.append(f"“{words}” was read as part of the story, not as a value")
        elif bound is not None and best in bound.paths.values():
            if bound.rivals and shares[best] >= SETTLE:
                bounds[bounds.index(bound)] = replace(bound, rivals=())
        elif (
            bound is not None
            and bound.quantity is quantity  # not one that borrows unit or slot
            and len(bound.paths) == 1
            and best != NOTHING
            and shares[best] >= CHANGE
        ):
            bounds[bounds.index(bound)] = _bound(scene, kinds, quantity, best)
    return bounds


def _is_told(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number replaces a value or is for a file: "make it 4", "5 for b.lp"."""
    return any(
        0 <= quantity.start - mark.end <= 1 for mark in scene.marks("correct")
    ) or (
        scene.word(quantity.end) == "for"
        and any(
            scene.used.get(i, "").startswith(("file", "ordinal"))
            for i in range(quantity.end + 1, quantity.end + 3)
        )
    )


def _candidates(
    scene: Scene,
    kinds: Sequence[str],
    quantity: Quantity,
    links: Sequence[Link],
    bound: Bound | None,
    found: Sequence[Bound],
) -> list[Candidate]:
    """Return the slots that a number fits by unit and form, one for each path."""
    costs: dict[str, float] = {}
    for link in links:
        if link.phrase is not None:
            path = link.slot.path
            costs[path] = min(link.cost, costs.get(path, link.cost))
    own = set() if bound is None else set(bound.paths.values())
    others = {path for b in found if b is not bound for path in b.paths.values()}
    rows: dict[str, Candidate] = {}
    for kind in kinds:
        for path, slot in scene.lexicon.slots[kind].items():
            if path in _COMPUTED or path in rows:
                continue
            if path not in own and not fits(scene, quantity, slot):
                continue
            if slot.by_name and path not in own and path not in costs:
                continue
            rows[path] = Candidate(
                path=path,
                cost=costs.get(path),
                ruled=path in own,
                plausible=is_plausible(quantity, slot),
                usual=is_usual(quantity, slot),
                taken=path in others,
            )
    return list(rows.values())


def _bound(scene: Scene, kinds: Sequence[str], quantity: Quantity, path: str) -> Bound:
    slots = [
        scene.lexicon.slots[kind][path]
        for kind in kinds
        if path in scene.lexicon.slots[kind]
        and fits(scene, quantity, scene.lexicon.slots[kind][path])
    ]
    words = scene.words(quantity.start, quantity.end)
    note = f"“{words}” is read as {slots[0].title} by the words around it"
    notes = dict.fromkeys((note, *(note_of(quantity, slot) for slot in slots)))
    return Bound(
        paths={slot.kind: slot.path for slot in slots},
        values={slot.kind: values_of(scene, quantity, slot) for slot in slots},
        tokens=tuple(range(quantity.start, quantity.end)),
        shape=quantity.shape,
        choice=quantity.choice,
        note="; ".join(each for each in notes if each),
        quantity=quantity,
    )
