"""Quantities that set nothing: story, codes, descriptions of the input, differences."""

from __future__ import annotations

from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.relevance import is_background, is_history
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension

_BETTER = ("smaller", "faster", "quicker", "better", "cheaper", "lower")
DIFFERENCES = vocabulary("less more longer shorter fewer extra higher lower larger")


def is_difference(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a quantity is a difference: "a minute less", "one higher"."""
    word, following = scene.word(quantity.end), scene.word(quantity.end + 1)
    than = scene.word(quantity.end + 2) == "than"
    if not quantity.units and following in ("fewer", "less", "more") and not than:
        return word not in DIFFERENCES
    if word not in DIFFERENCES:
        return False
    if scene.word(quantity.start - 1) in ("or", "for", "another", "gets"):
        return following == "than" and bool(quantity.units)
    return (
        word in ("higher", "lower", "larger")
        or bool(quantity.units)
        or following == "than"
    )


def accounted_as_input(scene: Scene, quantity: Quantity) -> bool:
    """Account for a quantity that describes the input: "3 TB of embeddings"."""
    if (
        quantity.reading(Dimension.RATIO)
        and quantity.units
        and scene.word(quantity.end) in _BETTER
    ):
        scene.use(range(quantity.start, quantity.end), "a wish")
        scene.notes.append(
            f"“{scene.words(quantity.start, quantity.end + 1)}” is no limit of a job: the best "
            "found is reported"
        )
        return True
    if not quantity.units or scene.word(quantity.end) != "of":
        return False
    if any(
        phrase.of(Role.COUNTED) and 0 < phrase.start - quantity.end <= 2
        for phrase in scene.items
    ):
        scene.use(range(quantity.start, quantity.end), "describes the input")
        return True
    return False


def accounted_as_story(scene: Scene, quantity: Quantity) -> bool:
    """Account for a duration that is part of the story: "I was away for three days"."""
    if _is_code(scene, quantity):
        scene.use(range(quantity.start, quantity.end), "background")
        return True
    if not is_background(scene, quantity) and not is_history(scene, quantity):
        return False
    words = scene.words(quantity.start, quantity.end)
    scene.use(range(quantity.start, quantity.end), "background")
    scene.notes.append(f"“{words}” was read as part of the story, not as a limit")
    return True


def _is_code(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number is part of a code such as RF-113."""
    at = quantity.start
    if quantity.units or at < 2 or scene.word(at - 1) != "-":
        return False
    head = scene.tokens[at - 2]
    in_phrase = any(phrase.start <= at - 2 < phrase.end for phrase in scene.items)
    glued = scene.tokens[at].glued and scene.tokens[at - 1].glued
    return head.form is Form.WORD and head.text.isupper() and glued and not in_phrase
