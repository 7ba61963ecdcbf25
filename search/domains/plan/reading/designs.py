"""Antennas of a goal: one with several bands, or several designs.

Two bands are one antenna or two by a score of what stands between and around them: "then",
"another", a new sentence speak for two; "dual band", "both bands", "and" in one clause for one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.relevance import is_history
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.units import Dimension

_ORDERED, _ANOTHER, _SENTENCE, _SEVERAL = 2.0, 2.5, 0.8, 2.5
_DUAL, _TOGETHER, _BASE = -4.0, -1.0, -0.4
_OTHERS = vocabulary(
    "another other second separate separately separated third different individual two-off"
)
_DUALS = vocabulary("dual double tri triple multi multiband dualband twin")
_BOTH = ("both", "2", "two", "these", "either", "all")
_PLURAL = vocabulary("antennas antennae designs aerials patches radiators elements")


def cuts_of(scene: Scene) -> list[int]:
    """Return the tokens at which a further design begins."""
    bands = wanted_bands(scene)
    whole = _about_all(scene)
    return [
        _place(scene, left, right)
        for left, right in itertools.pairwise(bands)
        if whole + _score(scene, left, right) > 0
    ]


def wanted_bands(scene: Scene) -> list[Quantity]:
    """Return the frequencies that are bands to be matched: no bandwidths, none to reject."""
    bands = []
    for quantity in scene.quantities:
        if quantity.reading(Dimension.FREQUENCY) is None:
            continue
        beside = [
            sense.path
            for phrase in scene.with_role(Role.HEAD)
            for sense in phrase.of(Role.HEAD)
            if -1 <= quantity.start - phrase.end <= 7
            and scene.crossing(phrase.start, quantity.start) < 0.9
        ]
        behind = [
            sense.path
            for phrase in scene.with_role(Role.HEAD)
            for sense in phrase.of(Role.HEAD)
            if 0 <= phrase.start - quantity.end <= 1
        ]
        if any(p.startswith(("spec.avoid", "_bandwidth")) for p in (*beside, *behind)):
            continue
        before = {
            scene.word(i) for i in range(max(0, quantity.start - 8), quantity.start)
        }
        if before & {"edge", "end", "limit"} and quantity.shape is Shape.SINGLE:
            continue  # one edge of a band that is there
        if quantity.shape is Shape.LIST or is_history(scene, quantity):
            continue
        bands.append(quantity)
    return bands


def _about_all(scene: Scene) -> float:
    """Return what the whole goal says: "a dual-band antenna", "two antennas"."""
    score = _BASE
    for i, token in enumerate(scene.tokens):
        following = scene.word(i + 1)
        dual = token.word in _DUALS and (
            following.startswith("band")
            or (following == "-" and scene.word(i + 2) == "band")
        )
        if dual or token.word in ("dualband", "multiband"):
            denied = any(
                m.mark("not", "instead") and 0 <= i - m.end <= 2 for m in scene.items
            )
            score += _SEVERAL if denied else _DUAL
        if (
            token.word in _BOTH
            and following.startswith("band")
            and scene.word(i + 1) != "band"
        ):
            score += _DUAL
        if token.word in _PLURAL and scene.word(i - 1) not in ("our", "of"):
            score += _SEVERAL
        if (
            token.word == "2" and following in ("separate", "different")
        ) or token.word == "apiece":
            score += _SEVERAL / 2
    return score


def _score(scene: Scene, left: Quantity, right: Quantity) -> float:
    between = range(left.end, right.start)
    words = {scene.word(i) for i in between}
    score = 0.0
    start = scene.sentence_start(left.start)
    marks = [
        phrase
        for phrase in scene.marks("then", "after", "before")
        if (left.end <= phrase.start < right.start)
        or (start <= phrase.start < left.start and phrase.mark("after", "before"))
    ]
    if marks:
        score += _ORDERED
    if words & _OTHERS or any(
        scene.word(i) == "1" and not scene.tokens[i].exact for i in between
    ):
        score += _ANOTHER
    if any(scene.ends_sentence(i) and scene.word(i) != "\n" for i in between):
        score += _SENTENCE
    elif words <= {
        "and",
        ",",
        "&",
        "+",
        "plus",
        "as",
        "well",
        "or",
        "also",
        "from",
        "to",
        "at",
    }:
        score += _TOGETHER
    if words & {"also", "too", "additionally", "simultaneously"}:
        score += _TOGETHER
    return score


def _place(scene: Scene, left: Quantity, right: Quantity) -> int:
    """Return where the words of the right design begin: behind the last boundary before it."""
    for i in range(right.start - 1, left.end - 1, -1):
        starts = any(phrase.start == i and phrase.mark("then") for phrase in scene.items)
        if scene.ends_sentence(i):
            return i + 1
        if starts or scene.word(i) in (",", ";", "and", "another", "second"):
            return i + (scene.word(i) in (",", ";", "and"))
    return left.end


def mentions_of(
    scene: Scene, cuts: Sequence[int], nouns: Sequence[int]
) -> list[list[int]]:
    """Return the tokens at which each design is spoken of."""
    starts, ends = [0, *cuts], [*cuts, len(scene.tokens)]
    bands = [q.start for q in wanted_bands(scene)]
    return [
        sorted(
            {max(start, b - 1) for b in bands if start <= b < end}
            | {n for n in nouns if start <= n < end}
            | (
                {start}
                if not start or not any(start <= b < end for b in bands)
                else set()
            )
        )
        for start, end in zip(starts, ends, strict=True)
    ]
