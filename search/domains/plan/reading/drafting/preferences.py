"""Preferences between the values of a slot: precise, not replaced, not ruled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from search.domains.plan.reading.binding.bound import COUNT
from search.domains.plan.reading.drafting.draft import Drafts
from search.domains.plan.reading.drafting.option import Option
from search.domains.plan.reading.drafting.questions import which_is_left
from search.domains.plan.reading.scene import Scene

# Of neighbourhoods: the learned arm disables itself on most models.
_NOT_DEFAULT = ("cl-lns",)


def drop_replaced(scene: Scene, options: dict[str, list[Option]]) -> None:
    """Handle "4 devices instead of 8": a comparison with 8 in a question, else 8 is dropped."""
    for path, row in options.items():
        for mark in scene.marks("instead"):
            later = [o for o in row if 0 <= o.tokens[0] - mark.end <= 2]
            earlier = [o for o in row if o.tokens[0] < mark.start]
            if not later or not earlier:
                continue
            scene.use(range(mark.start, mark.end), "replacement")
            asks = any(
                scene.sentence(m.start) == scene.sentence(mark.start)
                for m in scene.marks("what_if")
                if not m.mark("instead")
            )
            if not asks:
                options[path] = earlier
            elif path == COUNT:
                options[path] = [*later, *earlier]


def drop_plain_size(scene: Scene, options: dict[str, list[Option]]) -> None:
    """Drop "for size" beside another objective, unless both are to be run."""
    path = "spec.objective"
    row = options.get(path, [])
    plain = [
        o for o in row if "size" in scene.words(o.tokens[0], o.tokens[-1] + 1).lower()
    ]
    if not plain:
        return
    low, high = min(o.tokens[0] for o in row), max(o.tokens[0] for o in row)
    marks = scene.marks("compare", "then", "again")
    if any(low < mark.start <= high for mark in marks):
        return
    options[path] = [o for o in row if o not in plain]
    if not options[path]:
        del options[path]


def drop_contradicted(options: dict[str, list[Option]]) -> None:
    """Drop a switch that is only named where the goal rules it out elsewhere."""
    for path, row in options.items():
        # "passes only, no LLVM options": what is ruled out outranks what is only named.
        if {o.value for o in row if isinstance(o.value, bool)} == {True, False} and len(
            {o.tokens for o in row}
        ) > 1:
            options[path] = [o for o in row if o.value is False]


def drop_imprecise(
    scene: Scene, slots: Mapping[str, Any], options: dict[str, list[Option]]
) -> None:
    """Drop the less precise of two figures, unless they are compared."""
    for path, row in options.items():
        places = [o.tokens[0] for o in row]
        compared = len(row) > 1 and any(
            min(places) < m.start < max(places) for m in scene.marks("compare")
        )
        if compared:
            continue
        if any(o.strong for o in row) and not all(o.strong for o in row):
            options[path] = [
                replace(
                    o,
                    note=o.note
                    or f"{_title(slots, path)}: the more precise of two figures",
                )
                for o in row
                if o.strong
            ]


def _title(slots: Mapping[str, Any], path: str) -> str:
    return str(slots[path].title) if path in slots else path


def take_what_is_left(
    scene: Scene,
    slots: Mapping[str, Any],
    options: dict[str, list[Option]],
    removed: Mapping[str, tuple[int, ...]],
    result: Drafts,
) -> None:
    """Take the choice that is left when all others are ruled out; drop stated ones that are."""
    for path, slot in slots.items():
        out = {
            key.partition("=")[2]: tokens
            for key, tokens in removed.items()
            if key.startswith(f"{path}=")
        }
        if not out:
            continue
        options[path] = [o for o in options.get(path, []) if str(o.value) not in out]
        if not options[path]:
            del options[path]
            left = [choice for choice in slot.choices if choice not in out]
            tokens = tuple(sorted({t for each in out.values() for t in each}))
            every = any(
                scene.word(i) in ("every", "all")
                for i in range(max(0, tokens[0] - 9), tokens[0])
            )
            if slot.is_list:
                value: Any = [c for c in left if every or c not in _NOT_DEFAULT]
            elif len(left) == 1:
                value = left[0]
            else:
                if slot.choices[:1] and slot.choices[0] in out:
                    result.doubts.append(which_is_left(slot, left, tokens))
                continue
            options[path] = [Option(value=value, tokens=tokens, note="what is left")]
