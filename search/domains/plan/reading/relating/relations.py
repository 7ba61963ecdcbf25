"""Relations of a goal, applied to the values of its jobs."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.attach import Attached
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.lexicon import Item, Role
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
    pending = _corrected(scene, [item for item in pending if _with_noun(scene, item)])
    # A relation may refer to one that is resolved first.
    for _ in range(2):
        pending = [
            item for item in pending if not multiply(scene, leaves, attached, item)
        ]
    if pending:
        copy_same(scene, leaves, attached)  # "b ditto; c 2x that"
        for item in pending:
            multiply(scene, leaves, attached, item)
    add_differences(scene, leaves, attached)
    copy_devices(scene, leaves, attached)
    copy_same(scene, leaves, attached)


def _with_noun(scene: Scene, item: Item) -> bool:
    word = scene.words(item.start, item.end).lower()
    if word in (
        "three times",
        "two times",
        "four times",
        "five times",
        "3 times",
        "ten times",
    ):
        return _after_correction(scene, item) or scene.word(item.end) in (
            "that",
            "the",
            "as",
        )
    if word == "halves":
        return False  # "both halves of the city"
    if word not in ("double", "twice", "half the", "triple", "twice the"):
        return True
    near = range(item.end, item.end + 3)
    heads = scene.with_role(Role.HEAD, Role.VALUE)  # "half the cores", "twice the cards"
    return any(scene.word(i) in _NOUNS for i in near) or any(
        head.start in near and scene.crossing(item.end - 1, head.start) < 1.0
        for head in heads
    )


def _after_correction(scene: Scene, item: Item) -> bool:
    return any(0 <= item.start - m.end <= 1 for m in scene.marks("correct"))


def _corrected(scene: Scene, items: list[Item]) -> list[Item]:
    """Let a corrected factor replace the one before: "twice that, no, three times"."""
    result: list[Item] = []
    for item in items:
        if result and _after_correction(scene, item):
            scene.use(range(item.start, item.end), "correction")
            old = result.pop()
            result.append(Item(start=old.start, end=old.end, senses=item.senses))
        else:
            result.append(item)
    return result
