"""Jobs of one leaf: several values of its slots side by side, or each with each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import COUNT, Bound
from search.domains.plan.reading.drafting.devices import owned_first
from search.domains.plan.reading.drafting.draft import (
    MAX_VARIANTS,
    SECONDS,
    WHAT_IF,
    Drafts,
    Setting,
)
from search.domains.plan.reading.drafting.option import Option, alternate
from search.domains.plan.reading.drafting.questions import (
    ask_which_engine,
    ask_which_holds,
)
from search.domains.plan.reading.jobs.leaf import Doubt, Leaf
from search.domains.plan.reading.relevance import MARGIN, weight
from search.domains.plan.reading.scene import Scene

_SAME_STEP = 24  # tokens between "then" and a value of what comes then


def combined(
    scene: Scene,
    leaf: Leaf,
    options: dict[str, list[Option]],
    bounds: Sequence[Bound],
    result: Drafts,
) -> list[dict[str, Setting]]:
    """Return the values of each job: several values of a slot side by side, or each with each."""
    slots = scene.lexicon.slots[leaf.kind]
    compares = any(scene.marks("compare", "what_if")) or any(b.choice for b in bounds)
    fixed: dict[str, Setting] = {}
    many: dict[str, list[Option]] = {}
    for path, values in options.items():
        slot = slots.get(path)
        if slot is not None and slot.is_list and path != WHAT_IF:
            if len(values) > 1 and (compares or _one_each(scene, values)):
                many[path] = [
                    Option(value=[o.value], tokens=o.tokens, note=o.note) for o in values
                ]
                continue
            fixed[path] = _listed(values)
        elif len(values) == 1:
            only = values[0]
            fixed[path] = Setting(value=only.value, tokens=only.tokens, note=only.note)
        else:
            many[path] = values
    if COUNT in many and len(many) == 1:
        first, *others = owned_first(scene, many.pop(COUNT))
        fixed[COUNT] = Setting(value=first.value, tokens=first.tokens, note=first.note)
        fixed[WHAT_IF] = Setting(
            value=[o.value for o in others],
            tokens=tuple(t for o in others for t in o.tokens),
            note="the other numbers of devices are priced beside the first",
        )
    _told(scene, leaf, bounds, many, fixed, result)
    _fallback(scene, leaf, many, fixed)
    if not many:
        return [fixed]
    ask_which_holds(scene, many, compares, slots, result)
    ask_which_engine(scene, many, slots, result)
    rows = _rows(many)
    if len(rows) > MAX_VARIANTS:
        result.doubts.append(
            Doubt(
                about="size",
                text=f"That would be {len(rows)} jobs for one file. Which of them are wanted?",
                tokens=tuple(
                    t for values in many.values() for o in values for t in o.tokens
                ),
                rank=1,
            )
        )
        rows = rows[:MAX_VARIANTS]
    return [
        {path: s for path, s in fixed.items() if not _comes_later(scene, s, row, rows)}
        | {
            p: Setting(value=o.value, tokens=o.tokens, note=o.note)
            for p, o in row.items()
            if o.value is not None
        }
        for row in rows
    ]


def _comes_later(
    scene: Scene,
    setting: Setting,
    row: Mapping[str, Option],
    rows: Sequence[Mapping[str, Option]],
) -> bool:
    """Return whether a value behind "then" is for the later runs and not for this one.

    "two minutes first, then half an hour with SCIP": only the second run uses SCIP.
    """
    if not setting.tokens:
        return False
    at = setting.tokens[0]
    cut = max(
        (mark.start for mark in scene.marks("then") if mark.start < at), default=None
    )
    shared = any(
        scene.sentence(mark.start) == scene.sentence(at)
        for mark in scene.marks("each", "everything")
    )
    if cut is None or shared or at - cut > _SAME_STEP:
        return False
    before = [all(o.tokens[0] < cut for o in other.values()) for other in rows]
    behind = [all(o.tokens[0] > cut for o in other.values()) for other in rows]
    return any(before) and any(behind) and all(o.tokens[0] < cut for o in row.values())


def _told(
    scene: Scene,
    leaf: Leaf,
    bounds: Sequence[Bound],
    many: dict[str, list[Option]],
    fixed: dict[str, Setting],
    result: Drafts,
) -> None:
    """Choose between durations of one job where clearly more speaks for one of them."""
    row = many.get(SECONDS, [])
    weights = {
        b.tokens: weight(scene, b.quantity)
        for b in bounds
        if b.paths.get(leaf.kind) == SECONDS and b.quantity is not None
    }
    if any(alternate(row, other) for path, other in many.items() if path != SECONDS):
        return
    if len(row) != 2 or any(o.tokens not in weights for o in row):
        return
    better, worse = sorted(row, key=lambda o: -weights[o.tokens])
    if (
        weights[better.tokens] - weights[worse.tokens] < MARGIN
        or weights[worse.tokens] > 0.5
    ):
        return
    del many[SECONDS]
    result.doubts = [d for d in result.doubts if d.tokens != worse.tokens]
    note = "another duration was read as part of the story"
    fixed[SECONDS] = Setting(
        value=better.value, tokens=better.tokens, note=better.note or note
    )


def _fallback(
    scene: Scene,
    leaf: Leaf,
    many: dict[str, list[Option]],
    fixed: dict[str, Setting],
) -> None:
    """Make "if that fails, try SCIP" a second job beside one with the default engine."""
    engine = fixed.get("spec.engine")
    if engine is None or not engine.tokens:
        return
    for mark in scene.marks("fails"):
        if (
            0 < engine.tokens[0] - mark.start <= 14
            and min(leaf.mentions, default=0) < mark.start
        ):
            del fixed["spec.engine"]
            many["spec.engine"] = [
                Option(value=None, tokens=(min(leaf.mentions, default=0),)),
                Option(value=engine.value, tokens=engine.tokens, note=engine.note),
            ]
            return


def _one_each(scene: Scene, values: Sequence[Option]) -> bool:
    """Return whether the goal asks for one run for each value of a list.

    In "rins and crossover, sub-MIPs of 8 s each" the word goes with the number between.
    """
    places = sorted(t for option in values for t in option.tokens)
    for phrase in scene.marks("each"):
        words = scene.words(phrase.start, phrase.end).lower()
        if words not in ("per run", "each", "per job", "apiece", "a run", "a cell"):
            continue
        nearest = min(places, key=lambda t: abs(t - phrase.start))
        low, high = sorted((nearest, phrase.start))
        if not any(low < quantity.start < high for quantity in scene.quantities):
            return True
    return False


def _listed(values: Sequence[Option]) -> Setting:
    flat: list[Any] = []
    for option in values:
        flat += option.value if isinstance(option.value, list) else [option.value]
    return Setting(
        value=flat,
        tokens=tuple(t for o in values for t in o.tokens),
        note="; ".join(dict.fromkeys(o.note for o in values if o.note)),
    )


def _rows(many: Mapping[str, list[Option]]) -> list[dict[str, Option]]:
    """Return the combinations: alternating values go together, lists are crossed."""
    paths = list(many)
    together: list[list[str]] = []
    for path in paths:
        for group in together:
            if alternate(many[group[0]], many[path]):
                group.append(path)
                break
        else:
            together.append([path])
    axes = [
        [{path: many[path][i] for path in group} for i in range(len(many[group[0]]))]
        for group in together
    ]
    return [
        {path: option for part in parts for path, option in part.items()}
        for parts in itertools.product(*axes)
    ]
