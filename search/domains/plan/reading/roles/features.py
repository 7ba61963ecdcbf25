"""Signs in the text around a number that tell its role.

Each sign is a string; the model hashes it. A sign with a path in it is learned for that slot alone,
one without for all slots, so that a slot with few examples still profits from the distance of its
name, from units and from limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import stem
from search.domains.plan.reading.tokens import Form

NOTHING = ""
"""Role of a number that no job has."""
_NEAR, _AROUND = 3, 6
_MOST_WORDS = 80  # of a sentence
_COSTS = (0.0, 0.15, 0.4, 0.7, 1.0, 1.4, 1.8, 2.4)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A slot that a number can be the value of."""

    path: str
    cost: float | None = None  # distance of the slot's name; None: it has none near
    ruled: bool = False  # the grammar gives the number to this slot
    plausible: bool = True  # within the limits of the slot
    usual: bool = True
    taken: bool = False  # the grammar gives another number to this slot


def signs_of(
    scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
) -> list[list[str]]:
    """Return the signs of each candidate, and at last those of `NOTHING`."""
    around = list(_context(scene, quantity))
    rows = [_signs_of_slot(around, each) for each in candidates]
    ruled = any(each.ruled for each in candidates)
    least = min((c.cost for c in candidates if c.cost is not None), default=None)
    nothing = [
        "0|bias",
        f"0|ruled|{ruled}",
        f"0|least|{_bucket(least)}",
        f"0|least ruled|{_bucket(least)}|{ruled}",
        f"0|count|{min(len(candidates), 6)}",
        *(f"0|{sign}" for sign in around),
        *(f"0|{sign}" for sign in _story(scene, quantity)),
    ]
    return [*rows, nothing]


def _signs_of_slot(around: Sequence[str], each: Candidate) -> list[str]:
    cost = _bucket(each.cost)
    signs = [
        "+|bias",
        f"+|cost|{cost}",
        f"+|ruled|{each.ruled}",
        f"+|ruled cost|{each.ruled}|{cost}",
        f"+|limits|{each.plausible}|{each.usual}",
        f"+|taken|{each.taken}|{each.ruled}",
        f"{each.path}|bias",
        f"{each.path}|cost|{cost}",
        f"{each.path}|ruled|{each.ruled}",
        f"{each.path}|taken|{each.taken}",
        f"{each.path}|limits|{each.plausible}|{each.usual}",
    ]
    return [*signs, *(f"{each.path}|{sign}" for sign in around)]


def _bucket(cost: float | None) -> str:
    return "none" if cost is None else str(sum(cost > edge for edge in _COSTS))


def _context(scene: Scene, quantity: Quantity) -> Iterator[str]:
    """Yield the words around a number, its unit, its size and its form."""
    sentence = scene.sentence(quantity.start)
    before = _side(scene, range(quantity.start - 1, quantity.start - 1 - _AROUND, -1))
    behind = _side(scene, range(quantity.end, quantity.end + _AROUND))
    for words, sign in ((before, "-"), (behind, "+")):
        for place, word in enumerate(words):
            if place < _NEAR:
                yield f"{sign}{place}|{word}"
            yield f"{sign}|{word}"
            yield f"near|{word}"
        if len(words) > 1:
            yield f"{sign}two|{words[0]}|{words[1]}"
    yield f"both|{before[0] if before else '^'}|{behind[0] if behind else '$'}"
    unit = quantity.units[0].dimension if quantity.units else "no unit"
    yield f"unit|{unit}"
    yield f"unit|{unit}|{behind[0] if behind else '$'}"
    size = max(quantity.numbers)
    decade = math.floor(math.log10(size)) if 0 < size < math.inf else -9
    yield f"size|{unit}|{decade}"
    yield f"whole|{all(n == int(n) for n in quantity.numbers if abs(n) < 1e15)}"
    yield f"shape|{quantity.shape.name}"
    digits = any(c.isdigit() for c in scene.tokens[quantity.tokens[0]].text)
    yield f"digits|{digits}"
    yield f"first|{sentence == 0}"


def _side(scene: Scene, places: range) -> list[str]:
    """Return the stems on one side of a number, up to the end of its sentence."""
    words = []
    for i in places:
        if not 0 <= i < len(scene.tokens):
            break
        token = scene.tokens[i]
        if scene.ends_sentence(i):
            words.append("</s>")
            break
        if token.form is Form.NUMBER:
            words.append("#")
        elif token.form in (Form.WORD, Form.MARK):
            words.append(stem(token.word))
        else:
            words.append(f"@{token.form.name}")
    return words


def _story(scene: Scene, quantity: Quantity) -> Iterator[str]:
    """Yield signs of the sentence: does it speak of jobs at all?"""
    words = scene.in_sentence(scene.sentence(quantity.start))[:_MOST_WORDS]
    named = any(scene.tokens[i].form is Form.FILE for i in words)
    phrases = [phrase for phrase in scene.items if phrase.start in words]
    heads = any(phrase.of(Role.HEAD) for phrase in phrases)
    verbs = any(phrase.of(Role.VERB) for phrase in phrases)
    yield f"sentence|{named}|{heads}|{verbs}"
    yield f"long|{len(words) > 10}"
    for place in (0, 1):
        i = quantity.end + place
        if i < len(scene.tokens) and scene.tokens[i].form is Form.WORD:
            word = scene.tokens[i].word
            yield f"known{place}|{scene.lexicon.knows(word)}"
            yield f"plural{place}|{word.endswith('s')}|{scene.lexicon.knows(word)}"
    for i in words[:40]:
        if scene.tokens[i].form is Form.WORD:
            yield f"here|{stem(scene.tokens[i].word)}"
    before, at = scene.tokens[max(0, quantity.start - 1)], scene.tokens[quantity.start]
    yield f"glued|{at.glued}|{before.form.name}|{before.word[-1:] in '-/#_.'}"
