"""Relations of a goal, applied to the values of its jobs."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.attach import Attached
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.relating.copies import (
    copy_devices,
    copy_from_example,
    copy_same,
)
from search.domains.plan.reading.relating.multiples import add_differences, multiply
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary

_NOUNS = vocabulary(
    "time that long limit budget as much many of seconds minutes evaluations"
)


def apply_relations(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Give jobs the values that the goal states by relation to other jobs."""
    copy_from_example(scene, leaves, attached)
    pending = list(scene.with_role(Role.RELATION))
    pending = _corrected(
        scene, [phrase for phrase in pending if _with_noun(scene, phrase)]
    )
    # A relation may refer to one that is resolved first.
    for _ in range(2):
        pending = [
            phrase for phrase in pending if not multiply(scene, leaves, attached, phrase)
        ]
    if pending:
        copy_same(scene, leaves, attached)  # "b ditto; c 2x that"
        for phrase in pending:
            multiply(scene, leaves, attached, phrase)
    add_differences(scene, leaves, attached)
    copy_devices(scene, leaves, attached)
    copy_same(scene, leaves, attached)


def _with_noun(scene: Scene, phrase: Phrase) -> bool:
    word = scene.words(phrase.start, phrase.end).lower()
    if word in (
        "three times",
        "two times",
        "four times",
        "five times",
        "3 times",
        "ten times",
    ):
        return _after_correction(scene, phrase) or scene.word(phrase.end) in (
            "that",
            "the",
            "as",
        )
    if word == "halves":
        return False  # "both halves of the city"
    if word not in ("double", "twice", "half the", "triple", "twice the"):
        return True
    near = range(phrase.end, phrase.end + 3)
    heads = scene.with_role(Role.HEAD, Role.VALUE)  # "half the cores", "twice the cards"
    return any(scene.word(i) in _NOUNS for i in near) or any(
        head.start in near and scene.crossing(phrase.end - 1, head.start) < 1.0
        for head in heads
    )


def _after_correction(scene: Scene, phrase: Phrase) -> bool:
    return any(0 <= phrase.start - m.end <= 1 for m in scene.marks("correct"))


def _corrected(scene: Scene, items: list[Phrase]) -> list[Phrase]:
    """Let a corrected factor replace the one before: "twice that, no, three times"."""
    result: list[Phrase] = []
    for phrase in items:
        if result and _after_correction(scene, phrase):
            scene.use(range(phrase.start, phrase.end), "correction")
            old = result.pop()
            result.append(Phrase(start=old.start, end=old.end, senses=phrase.senses))
        else:
            result.append(phrase)
    return result
