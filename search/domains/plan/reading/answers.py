"""Answers of the owner, read with the same grammar as the goal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.domains.plan.reading.bands import Frequencies, bands_of
from search.domains.plan.reading.bare_times import is_time
from search.domains.plan.reading.binding.bind import bind
from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.binding.conversion import plain
from search.domains.plan.reading.bounds import fold
from search.domains.plan.reading.drafting.draft import SECONDS, Draft, Drafts, Setting
from search.domains.plan.reading.drafting.drafts import drafts_of
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.names import named
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.scene import Scene, scene_of
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import UNITS, Dimension
from search.domains.plan.types import ANSWERED

_MAX_CHARS = 2_000
_SAME_CLAUSE = 3.0  # less than the end of a sentence
# Questions whose answers are read like a goal of their own, with the words in front of them.
_FREE = {"settings": "", "runs": "run it "}


def settings_of(scene: Scene, drafts: Drafts, answers: Mapping[str, str]) -> None:
    """Set the slots that were asked for, in every job that has them."""
    for about, answer in answers.items():
        if about.startswith("number."):
            _set_number(scene, drafts, about.removeprefix("number."), answer[:_MAX_CHARS])
        if about in _FREE:
            _set_all(scene, drafts, _FREE[about] + answer[:_MAX_CHARS], answer)
        if about == SECONDS:
            _set_unit(scene, drafts, answer[:_MAX_CHARS])
        for job in drafts.jobs:
            slot = slot_about(scene, job, about)
            if slot is not None:
                for path, value in _read(scene, slot, answer[:_MAX_CHARS]).items():
                    job.settings[path] = _setting(value, answer)


def _set_unit(scene: Scene, drafts: Drafts, answer: str) -> None:
    """Set the times that stand without a unit when an answer names the unit alone: "minutes"."""
    inner = scene_of(fold(answer), (), scene.lexicon)
    factors = [
        unit.factor
        for token in inner.tokens
        for unit in UNITS.get(token.word, ())
        if len(token.word) > 2 and unit.dimension is Dimension.TIME
    ]
    if inner.quantities or len(factors) != 1:
        return
    for quantity in scene.quantities:
        if quantity.units or not is_time(scene, quantity):
            continue
        value = plain(quantity.numbers[0] * factors[0], is_integer=False)
        before = [
            (m, i)
            for i, job in enumerate(drafts.jobs)
            for m in job.mentions
            if m < quantity.start and scene.crossing(m, quantity.start) < _SAME_CLAUSE
        ]
        owner = max(before)[1] if before else None
        for i, job in enumerate(drafts.jobs):
            if owner in (None, i):
                job.settings[SECONDS] = _setting(value, answer)


def _set_all(scene: Scene, drafts: Drafts, text: str, answer: str) -> None:
    """Set everything that an answer states, in every job that has a slot for it."""
    for job in drafts.jobs:
        inner = scene_of(fold(text), (), scene.lexicon)
        bounds = [*bind(inner, [job.kind], set()), *named(inner, [job.kind])]
        leaf = Leaf(kind=job.kind, mentions=[0])
        for row in drafts_of(inner, [leaf], [bounds]).jobs[:1]:
            for path, setting in row.settings.items():
                job.settings[path] = _setting(setting.value, answer)


def _set_number(scene: Scene, drafts: Drafts, number: str, answer: str) -> None:
    """Set the slot that an answer names for a number: "seconds", "20 minutes", "threads"."""
    low = answer.lower()
    for job in drafts.jobs:
        slots = scene.lexicon.slots[job.kind]
        named = [s for s in slots.values() if s.title.lower() in low]
        if not named and any(w in low for w in ("second", "minute", "hour")):
            named = [slots["budget.seconds"]]
        if len(named) != 1:
            continue
        inner = scene_of(fold(answer), (), scene.lexicon)
        text = answer if inner.quantities else f"{number} {answer}"
        for path, value in _read(scene, named[0], text).items():
            job.settings[path] = _setting(value, answer)


def _setting(value: Any, answer: str) -> Setting:
    return Setting(value=value, tokens=(), note=f"{ANSWERED}{answer[:80]}")


def slot_about(scene: Scene, job: Draft, about: str) -> Slot | None:
    """Return the slot of a job that a question is about."""
    for path, slot in scene.lexicon.slots[job.kind].items():
        if about in (about_of(path), path):
            return slot
    return None


def about_of(path: str) -> str:
    """Return the short name of a slot in questions: `devices.count`, `budget.seconds`."""
    return path.removeprefix("spec.").replace(".0.", ".")


def _read(scene: Scene, slot: Slot, answer: str) -> dict[str, Any]:
    inner = scene_of(fold(answer), (), scene.lexicon)
    triples = [t.word for t in inner.tokens if t.form is Form.TRIPLE]
    if triples and slot.path == "spec.target.triple":
        return {slot.path: triples[0]}
    if slot.dimension is None:
        for phrase in inner.items:
            for sense in phrase.senses:
                if sense.path == slot.path and not isinstance(
                    sense.value, tuple | type(None)
                ):
                    return {slot.path: sense.value}
        return {}
    for quantity in inner.quantities:
        if slot.dimension is Dimension.FREQUENCY:
            reading = quantity.reading(Dimension.FREQUENCY)
            if reading:
                return _band(inner, slot, quantity, reading)
            continue
        values = _numbers(quantity, slot)
        if values:
            value = plain(values[-1], is_integer=slot.is_integer)
            return {slot.path: -abs(value) if slot.negative else value}
    return {}


def _numbers(quantity: Quantity, slot: Slot) -> tuple[float, ...]:
    assert slot.dimension is not None
    values = quantity.reading(slot.dimension)
    if values is None and not quantity.units:
        values = quantity.numbers  # "80" where GiB were asked for
    if values is None:
        return ()
    if quantity.shape is Shape.PRODUCT:
        return (values[0] * values[1],)
    return tuple(v for v in values if _inside(v, slot))


def _inside(value: float, slot: Slot) -> bool:
    low, high = slot.least, slot.most
    return (low is None or value >= low) and (high is None or value <= high)


def _band(
    scene: Scene, slot: Slot, quantity: Quantity, values: tuple[float, ...]
) -> dict[str, Any]:
    bound = Bound(
        paths={slot.kind: slot.path},
        values={slot.kind: values},
        tokens=(quantity.start,),
        shape=quantity.shape,
        quantity=quantity,
    )
    rows, _ = bands_of(scene, [Frequencies(path=slot.path, bound=bound, values=values)])
    return {path: value for path, (value, _, _) in rows.items()}
