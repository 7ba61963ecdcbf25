"""Relevance of a number: about a job, or part of the story around it.

"the train was stuck for two hours" states no time limit. Each sign speaks for or against by its
weight; a duration with clearly more against it is background, and of two durations for one job the
one with clearly more for it holds. Otherwise the goal is asked about.
"""

from __future__ import annotations

from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import Dimension

BACKGROUND = -1.5  # at or below: part of the story
MARGIN = 1.5  # between two durations: the better one holds without a question
_WEIGHTS = {
    "job in the sentence": 1.0,
    "limit": 1.0,
    "preposition": 0.5,
    "short sentence": 1.0,
    "request": 0.8,
    "story": -2.0,
    "past": -1.5,
    "nothing": -1.0,
    "days": -1.0,
    "beyond the limits": -3.0,
}
_DAY_S, _MOST_S = 86_400.0, 86_400.0
_REQUESTS = vocabulary(
    "please pls plz could can would let give gives gets get should must may run want need allow "
    "allowed grant take wish like suffice enough fine spend shall ought make solve stop within "
    "max maximum limit till until deserves wants plenty ok okay budget allows plan planned "
    "do kindly"
)
_STORY = vocabulary(
    "ago late since old earlier yesterday already last past away holiday holidays weather delay "
    "delayed waited waiting weekend vacation birthday meeting lunch dinner flight train bus "
    "traffic queue phone call sleep slept drive drove nap doctor hospital"
)
_PAST = vocabulary(
    "was were had did came took spent found stuck met broke went got said told wrote lasted "
    "needed used ran kept left lost sat stood felt thought been cost required"
)
_CLAUSE = 1.5
_BEFORE = ("for", "in", "within", "under", "of", "-")


def weight(scene: Scene, quantity: Quantity) -> float:
    """Return how much speaks for a duration being a job's; negative: part of the story."""
    return sum(_WEIGHTS[sign] for sign in signs(scene, quantity))


def signs(scene: Scene, quantity: Quantity) -> list[str]:
    """Return the signs that a duration is a job's or part of the story."""
    here = scene.in_sentence(scene.sentence(quantity.start))
    clause = [
        i
        for i in here
        if abs(i - quantity.start) <= 12 and scene.crossing(i, quantity.start) < _CLAUSE
    ]
    inside = {
        i
        for phrase in scene.items
        if phrase.of(Role.VALUE, Role.HEAD)
        for i in range(phrase.start, phrase.end)
    }
    words = {scene.word(i) for i in clause if i not in inside}
    around = {scene.word(i) for i in here if -5 <= i - quantity.start <= 6}
    names = []
    job = any(scene.tokens[i].form is Form.FILE for i in here) or any(
        phrase.of(Role.NOUN, Role.VERB, Role.FILE_NOUN, Role.VALUE)
        for phrase in scene.items
        if phrase.start in here
    )
    limit = any(
        phrase.mark("most", "least", "total", "each") or _says_limit(scene, phrase)
        for phrase in scene.items
        if phrase.start in clause and -4 <= phrase.start - quantity.start <= 4
    )
    request = bool(words & _REQUESTS) or any(
        mark.start in here for mark in scene.marks("correct")
    )
    if job:
        names.append("job in the sentence")
    if limit:
        names.append("limit")
    if scene.word(quantity.start - 1) in _BEFORE:
        names.append("preposition")
    if len(here) <= 9:
        names.append("short sentence")
    if request:
        names.append("request")
    if around & _STORY:
        names.append("story")
    if words & _PAST and not request:
        names.append("past")
    if not (job or limit or request):
        names.append("nothing")
    seconds = quantity.reading(Dimension.TIME) or (0.0,)
    if seconds[0] >= _DAY_S:
        names.append("days")
    if seconds[0] > _MOST_S:
        names.append("beyond the limits")
    return names


def is_history(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a measure belongs to a sentence about the past, and another one does not."""
    if not quantity.units or _tells(scene, quantity) is False:
        return False
    dimensions = {u.dimension for u in quantity.units}
    dated = any(
        1950 <= (scene.tokens[i].value or 0) <= 2090
        and scene.word(i - 1) in ("in", "since", "until")
        for i in scene.in_sentence(scene.sentence(quantity.start))
    )
    return any(
        (dated or dimensions & {u.dimension for u in other.units})
        and not _tells(scene, other)
        for other in scene.quantities
        if scene.sentence(other.start) != scene.sentence(quantity.start)
    )


def _tells(scene: Scene, quantity: Quantity) -> bool:
    here = scene.in_sentence(scene.sentence(quantity.start))
    words = {scene.word(i) for i in here}
    named = any(scene.tokens[i].form is Form.FILE for i in here)
    corrects = any(mark.start in here for mark in scene.marks("correct"))
    return bool(words & _PAST) and not (words & _REQUESTS or named or corrects)


def _says_limit(scene: Scene, phrase: Phrase) -> bool:
    words = {scene.word(i) for i in range(phrase.start, phrase.end)}
    return any(s.path == "budget.seconds" for s in phrase.senses) and words != {"time"}


def is_background(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a duration is part of the story around the jobs."""
    if not any(u.dimension is Dimension.TIME for u in quantity.units):
        return False
    beyond = _WEIGHTS["beyond the limits"] * (
        "beyond the limits" in signs(scene, quantity)
    )
    return weight(scene, quantity) - beyond <= BACKGROUND
