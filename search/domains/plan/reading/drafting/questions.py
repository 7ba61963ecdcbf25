"""Questions about values: unclear slots, limits, several values that nothing compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import COUNT, Bound
from search.domains.plan.reading.drafting.draft import ENGINE, MEMORY, SECONDS, Drafts
from search.domains.plan.reading.drafting.option import Option, alternate
from search.domains.plan.reading.jobs.leaf import Doubt, Leaf
from search.domains.plan.reading.scene import Scene


def which_slot(scene: Scene, bound: Bound, title: str) -> Doubt:
    """Ask which of several slots a number is for."""
    options = tuple(dict.fromkeys((title, *bound.rivals)))[:5]
    return Doubt(
        about=f"number.{goal_words(scene, bound)}",
        text=f"What does “{goal_words(scene, bound)}” mean: {' or '.join(options)}?",
        options=options,
        tokens=bound.tokens[:1],
        rank=2,
    )


def which_is_left(slot: Any, left: Sequence[str], tokens: tuple[int, ...]) -> Doubt:
    """Ask which choice holds when the default is ruled out and several are left."""
    return Doubt(
        about=slot.path.removeprefix("spec."),
        text=f"{slot.title}: the usual one is ruled out. {' or '.join(left)}?",
        options=tuple(left[:5]),
        tokens=tokens,
        rank=1,
    )


def each_or_total(scene: Scene, bounds: Sequence[Bound], leaf: Leaf) -> list[Doubt]:
    """Ask about memory that is stated for all devices together."""
    doubts = []
    for bound in bounds:
        if bound.paths.get(leaf.kind) != MEMORY:
            continue
        near = [
            m
            for m in scene.marks("total")
            if -3 <= m.start - max(bound.tokens) <= 3 or 0 <= bound.at - m.end <= 3
        ]
        counts = [
            b.values[leaf.kind][0] for b in bounds if b.paths.get(leaf.kind) == COUNT
        ]
        if near and counts and isinstance(counts[0], int) and counts[0] > 1:
            total = bound.values[leaf.kind][0]
            doubts.append(
                Doubt(
                    about="devices.memory_gib",
                    text=f"Is “{goal_words(scene, bound)}” for all {counts[0]} devices together, "
                    "or for each?",
                    options=(f"{total / counts[0]:g} GiB each", f"{total:g} GiB each"),
                    tokens=bound.tokens,
                    rank=1,
                )
            )
    return doubts


def out_of_range(scene: Scene, bound: Bound, slot: Any, value: Any) -> list[Doubt]:
    """Ask about a number beyond the limits of its slot, and note it as such."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return []
    low, high = slot.least, slot.most
    fine = (
        value == value
        and (low is None or value >= low)
        and (high is None or value <= high)
    )
    if fine and not (low == 0 and value == 0 and slot.path == SECONDS):
        return []
    limits = (
        f"{low:g} to {high:g}"
        if low is not None and high is not None
        else "another value"
    )
    scene.beyond.append((bound.tokens, f"{slot.title}: {limits} is possible"))
    return [
        Doubt(
            about=slot.path.removeprefix("spec.").replace(".0.", "."),
            text=f"{slot.title}: expected {limits}, got “{goal_words(scene, bound)}”. Which value?",
            tokens=bound.tokens,
            rank=1,
        )
    ]


_VARIED = ("seed", "spec.devices.0.count", "spec.what_if", "spec.engine")
"""Slots whose values are listed to be run side by side more often than to be chosen from."""


def ask_which_holds(
    scene: Scene,
    many: Mapping[str, list[Option]],
    compares: bool,
    slots: Mapping[str, Any],
    result: Drafts,
) -> None:
    """Ask when one slot has several values and nothing says that they are to be compared."""
    for path, values in many.items():
        alone = not any(
            alternate(values, other) for p, other in many.items() if p != path
        )
        listed = len({o.tokens for o in values}) == 1
        places = sorted(o.tokens[0] for o in values)
        listed = (
            listed
            or _one_and_one(scene, places)
            or any(places[0] < m.start < places[-1] for m in scene.marks("then"))
        )
        slot = slots.get(path)
        one_of = path in (SECONDS, MEMORY, "budget.target_gap", "spec.objective") or (
            path not in _VARIED
            and slot is not None
            and (
                slot.dimension is not None
                or all(isinstance(o.value, bool) for o in values)
            )
            and not scene.marks(
                "again", "rerun", "each", "then", "after", "before", "first"
            )
        )
        if one_of and alone and not compares and not listed:
            shown = [_text(o.value) for o in values]
            result.doubts.append(
                Doubt(
                    about=path.removeprefix("spec.").replace(".0.", "."),
                    text=f"{slots[path].title}: the goal states {', '.join(shown)}. Which holds?",
                    options=tuple(shown[:5]),
                    tokens=tuple(t for o in values for t in o.tokens),
                    rank=1,
                )
            )


def ask_which_engine(
    scene: Scene,
    many: dict[str, list[Option]],
    slots: Mapping[str, Any],
    result: Drafts,
) -> None:
    """Ask which engine is meant by "HiGHS or SCIP" where nothing asks for a comparison."""
    row = many.get(ENGINE, [])
    if len(row) != 2:
        return
    left, right = sorted(row, key=lambda o: o.tokens[0])
    between = [scene.word(i) for i in range(left.tokens[-1] + 1, right.tokens[0])]
    compares = any(
        scene.words(mark.start, mark.end).lower() != "or"
        for mark in scene.marks("compare", "what_if", "each", "again")
    )
    asks = any(token.word in ("?", "which", "whether", "both") for token in scene.tokens)
    if between == ["or"] and not compares and not asks:
        many[ENGINE] = [left]
        result.doubts.append(
            Doubt(
                about="engine",
                text=f"{slots[ENGINE].title}: {left.value} or {right.value}?",
                options=(str(left.value), str(right.value)),
                tokens=(*left.tokens, *right.tokens),
                rank=1,
            )
        )


def _one_and_one(scene: Scene, places: Sequence[int]) -> bool:
    """Return whether values are told off one by one: "one small version and one fast one"."""
    return any(
        (scene.word(i) == "1" and not scene.tokens[i].exact) or scene.word(i) == "once"
        for i in range(max(0, places[0] - 3), places[-1])
    )


def goal_words(scene: Scene, bound: Bound) -> str:
    """Return the goal's own words of a value."""
    if bound.quantity is None:
        return scene.words(bound.at, bound.at + 1)
    return scene.words(bound.quantity.start, bound.quantity.end)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
