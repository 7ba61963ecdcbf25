"""One budget of time for several jobs: "20 minutes in total, a third of it for the first"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.drafting.draft import SECONDS, Draft
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension

_NEAR = 8  # tokens between a duration and "in total"
_DIVIDES = vocabulary(
    "split splits splitting share shared sharing divide divided dividing equally evenly equal rest "
    "remainder ratio proportion"
)
_BEHIND = 8  # tokens between "half of it" and the job that gets it


def share_totals(scene: Scene, jobs: Sequence[Draft]) -> None:
    """Divide a time that is stated for all jobs together among them.

    A job that got a multiple of the time ("twice as long on b as on a") keeps the proportion, a
    stated ratio or fraction is followed, and what is left is divided equally. Nothing is divided
    unless the goal speaks of dividing or states a proportion.
    """
    for quantity in scene.quantities:
        total = quantity.reading(Dimension.TIME)
        if total is None or len(total) != 1 or not _is_total(scene, quantity):
            continue
        holders = [job for job in jobs if _holds(job, quantity)]
        if len(holders) == 1 and any(t.word in _DIVIDES for t in scene.tokens):
            own = holders[0].settings[SECONDS]
            for job in jobs:
                job.settings.setdefault(SECONDS, own)
            holders = [job for job in jobs if _holds(job, quantity)]
        if len(holders) < 2:
            continue
        weights = _weights(scene, holders, total[0])
        if weights is None:
            continue
        whole = sum(weights)
        for job, weight in zip(holders, weights, strict=True):
            value = float(f"{total[0] * weight / whole:.12g}")
            note = f"its share of “{scene.words(quantity.start, quantity.end)}” in total"
            job.settings[SECONDS] = replace(
                job.settings[SECONDS],
                value=int(value) if value == int(value) else value,
                note=note,
            )


def _is_total(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a duration is for everything: "15 minutes in total", "six for the lot"."""
    return any(
        scene.sentence(mark.start) == scene.sentence(quantity.start)
        and -_NEAR <= mark.start - quantity.end <= _NEAR
        for mark in scene.marks("total", "lot")
    )


def _holds(job: Draft, quantity: Quantity) -> bool:
    setting = job.settings.get(SECONDS)
    return setting is not None and bool(
        set(range(quantity.start, quantity.end)) & set(setting.tokens)
    )


def _weights(scene: Scene, holders: Sequence[Draft], total: float) -> list[float] | None:
    """Return each job's weight; None where the goal says nothing of dividing."""
    ratio = _ratio(scene)
    if ratio and len(ratio) == len(holders):
        return ratio
    relative = [float(job.settings[SECONDS].value) / total for job in holders]
    if any(weight != 1.0 for weight in relative):
        return relative
    divides = any(token.word in _DIVIDES for token in scene.tokens)
    fixed = _fractions(scene, holders)
    if fixed and sum(fixed.values()) < 1.0 and len(fixed) < len(holders):
        rest = (1.0 - sum(fixed.values())) / (len(holders) - len(fixed))
        return [fixed.get(i, rest) for i in range(len(holders))]
    return relative if divides else None


def _ratio(scene: Scene) -> list[float]:
    """Return the numbers of "in the ratio 1:1:3"."""
    start = next(
        (i for i, t in enumerate(scene.tokens) if t.word in ("ratio", "proportion")), None
    )
    numbers: list[float] = []
    if start is None:
        return numbers
    for i in range(start + 1, min(start + 14, len(scene.tokens))):
        token = scene.tokens[i]
        if token.form is Form.NUMBER and token.value is not None:
            numbers.append(token.value)
            scene.use([i], SECONDS)
        elif token.word not in (":", "of", "to", "-", "/", "as"):
            break
    scene.use([start], SECONDS)
    return numbers


def _fractions(scene: Scene, holders: Sequence[Draft]) -> dict[int, float]:
    """Return the share of each job that the goal gives one: "half of it into depot.mps"."""
    shares: dict[int, float] = {}
    for phrase in scene.with_role(Role.RELATION):
        factor = phrase.of(Role.RELATION)[0].value
        if not 0 < factor < 1 or scene.word(phrase.end - 1) not in ("it", "that"):
            continue
        behind = [
            (place, i)
            for i, job in enumerate(holders)
            for place in job.mentions
            if 0 <= place - phrase.end <= _BEHIND
        ]
        if behind:
            shares[min(behind)[1]] = float(factor)
            scene.use(range(phrase.start, phrase.end), SECONDS)
    return shares
