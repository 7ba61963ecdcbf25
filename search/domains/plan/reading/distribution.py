"""Values that hold for several jobs by their words: "each", "for both", "the same gap"."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form

_JOINED_ALONE = 2.2
_JOINED = 0.9  # less than a comma: "300 s and seed 1 for each"
_OF_ONE = ("each", "apiece", "every", "a piece", "ea", "each one")
_OF_DEVICES = frozenset(
    (
        "spec.devices.0.memory_gib",
        "spec.devices.0.count",
        "spec.devices.0.hardware",
        "_nodes",
    )
)


def addressed(scene: Scene, bound: Bound) -> range:
    """Return the tokens right behind "for" and a value: "8 for feed.csv"."""
    end = max(bound.tokens[-1], bound.at) + 1
    if bound.quantity is not None:
        end = max(end, bound.quantity.end)
    linked = scene.word(end) in ("for", "on", "to") and bound.quantity is not None
    if not linked:
        return range(0)
    stop = end + 1
    while stop < min(end + 4, len(scene.tokens)) and not scene.ends_sentence(stop):
        stop += 1
    return range(end + 1, stop)


def counts_all(scene: Scene, bound: Bound, jobs: int) -> bool:
    """Return whether "each of the three" in a sentence of its own counts all jobs there are."""
    sentence = scene.in_sentence(scene.sentence(bound.at))
    counts = {int(scene.tokens[t].value or 0) for t in sentence if t not in bound.tokens}
    words = {scene.word(t) for t in sentence}
    return jobs in counts or bool(
        words & {"everybody", "everyone", "every", "all", "wherever"}
    )


def distributes(
    scene: Scene, bound: Bound, bounds: Sequence[Bound], *, alone: bool
) -> bool:
    """Return whether "each", "both", "all" goes with a value, or with one joined to it by "and".

    "with 48 GiB each" speaks of devices, not of jobs. `alone`: the sentence names no job, so that
    a comma joins as well: "SCIP, 2 min for each of the three".
    """
    joined = _JOINED_ALONE if alone else _JOINED
    if _is_same_for_all(scene, bound):
        return True
    for phrase in scene.marks("each", "everything"):
        if any(0 <= phrase.start - m.end <= 1 for m in scene.marks("after")):
            continue  # "when all of that is done" speaks of the order
        near = [
            (_gap(scene, phrase, b), i)
            for i, b in enumerate(bounds)
            if phrase.start not in b.tokens
        ]
        if not near:
            continue
        gap, closest = min(near)
        owner = bounds[closest]
        of_devices = scene.words(phrase.start, phrase.end).lower() in _OF_ONE and bool(
            set(owner.paths.values()) & _OF_DEVICES
        )
        if _in_tail(scene, phrase, bound) and not of_devices:
            return True
        if gap > 3.0 or of_devices:
            continue
        if owner is bound or scene.crossing(max(owner.tokens), bound.at) < joined:
            return True
        if scene.crossing(max(bound.tokens), owner.at) < joined:
            return True
    return False


def sentence_is_for_all(scene: Scene, bound: Bound) -> bool:
    """Return whether a sentence that names no job speaks of each: "for every one, 50 seconds"."""
    return not set(bound.paths.values()) & _OF_DEVICES and any(
        scene.sentence(mark.start) == scene.sentence(bound.at)
        and mark.start not in bound.tokens
        for mark in scene.marks("each")
    )


def _is_same_for_all(scene: Scene, bound: Bound) -> bool:
    """Return whether "the same gap, 2 percent" states one value for all jobs."""
    start = bound.quantity.start if bound.quantity is not None else bound.at
    paths = set(bound.paths.values())
    return any(
        0 < start - mark.end <= 4
        and any(
            mark.end <= head.start < start
            and paths & {s.path for s in head.of(Role.HEAD)}
            for head in scene.with_role(Role.HEAD)
        )
        for mark in scene.marks("same")
        if scene.word(mark.end - 1) == "same"
    )


def _in_tail(scene: Scene, phrase: Phrase, bound: Bound) -> bool:
    """Return whether a value follows "both" in a list of values: "both x86-64, 100 evals"."""
    between = range(phrase.end, bound.at)
    return (
        0 < len(between) <= 6
        and scene.word(phrase.start) in ("both", "all")
        and not any(
            scene.ends_sentence(t)
            or scene.tokens[t].form in (Form.FILE, Form.NAME)
            or scene.word(t) in ("the", "but")
            for t in between
        )
        and any(scene.word(t) == "," for t in between)
        and not addressed(scene, bound)
    )


def _gap(scene: Scene, phrase: Phrase, bound: Bound) -> float:
    low, high = min(bound.tokens), max(bound.tokens)
    if phrase.start > high:
        return scene.crossing(high, phrase.start) + 0.1 * (phrase.start - high)
    return scene.crossing(phrase.end - 1, low) + 0.1 * (low - phrase.end)
