"""Values said by another one: "twice as long", "200 MHz higher", "the next seed", "the same"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from search.domains.plan.reading.binding.conversion import plain
from search.domains.plan.reading.joint.numbers import number_at
from search.domains.plan.reading.joint.place import Place
from search.domains.plan.reading.joint.spelt import FRACTION, fraction_of
from search.domains.plan.reading.numerals import NUMBER_WORDS
from search.domains.plan.reading.quantities.quantity import scaled
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.units import UNITS, Dimension

_WORDS = {
    "double": 2.0,
    "twice": 2.0,
    "triple": 3.0,
    "thrice": 3.0,
    "treble": 3.0,
    "quadruple": 4.0,
    "doubled": 2.0,
    "halved": 0.5,
    "tripled": 3.0,
    "half": 0.5,
    "doubling": 2.0,
    "tenfold": 10.0,
}
_NONE = frozenset(("no", "not", "without", "skip", "never", "none", "don", "dont"))
_BEHIND = 24  # characters behind a relation in which a job may be named
_SCALES = ("million", "thousand", "hundred", "dozen", "billion", "lakh")
_OF_THE_BEST = ("worse", "off", "from", "away", "or", "below")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_COUNT = r"(\d+(?:\.\d+)?|" + "|".join(NUMBER_WORDS) + ")"
_AS_MUCH = r"(?=\s+(?:as|the|that|longer|more|what|times?)\b)"
_TIMES = re.compile(
    rf"\b{_COUNT}[ -](?:times|fold)\b|(?<![\w.])(\d+(?:\.\d+)?)\s?[x×]{_AS_MUCH}"
    rf"|\btimes {_COUNT}\b"
)
_MORE = re.compile(
    r"\b(?:more|longer|higher|larger|greater|up|plus|further|above|additional|extra|on top|wider"
    r"|thicker|later|bigger|next)\b"
)
_LESS = re.compile(
    r"\b(?:less|shorter|lower|fewer|smaller|down|minus|below|thinner|narrower|earlier|under)\b"
)
_EITHER_SIDE = re.compile(r"plus\s*/?\s*minus|plus or minus|\+\s*/\s*-|±")
_SAME_NAME = re.compile(
    r"(?:the |those |these )?(?:same|identical|likewise|ditto|like|unchanged"
    r"|as (?:the )?(?:first|above|before))\b"
)
_NEXT = re.compile(r"\b(?:next|one (?:higher|more|up|further)|following)\b")
_SAME = re.compile(
    r"\b(?:same|as|like|identical|identically|likewise|also|too|ditto|unchanged|equal|equally|alike|those|these|that|this|both|otherwise|everything|copy)\b"
)


def is_related(place: Place, slot: Slot) -> bool:
    """Return whether some words name a value by another one, not by themselves."""
    text = place.text.lower().replace("half-a", "half a")
    if slot.negative or slot.dimension is Dimension.LEVEL:
        text = text.replace("minus ", "-")
    if _EITHER_SIDE.search(text):
        return False
    words = set(re.findall(r"[a-z]+", text))
    if words & (set(_WORDS) - {"half"}) or _TIMES.search(text):
        return True
    fraction = fraction_of(text) if FRACTION.match(text) else None
    if fraction is not None:
        alone = not fraction[1] or fraction[1].partition(" ")[0] in (
            "held",
            "out",
            "back",
        )
        if alone and (fraction[0] < 0.02 or slot.dimension is Dimension.RATIO):
            return False  # "three thousandth", "hold out a fifth"
        return not _states_an_amount(fraction[1])
    numbers = any(c.isdigit() for c in text) or bool(words & set(NUMBER_WORDS))
    if numbers or re.match(r"an? ", text):
        return bool(_MORE.search(text) or _LESS.search(text)) and not re.match(
            r"(?:no|not|at most|up to|never|nothing|less than|under|below)\b", text
        )
    if words & _NONE:
        return False  # "no second solver"
    return bool(_NEXT.search(text) or _SAME.search(text) or words & set(_ORDINALS))


def _states_an_amount(rest: str) -> bool:
    """Return whether what a fraction is of stands there: "of an hour", "of its 80 GiB"."""
    first = re.split(r"[\s-]", rest.strip())[0]
    unit = first in UNITS and len(first) > 1
    number = first in NUMBER_WORDS or first in _SCALES or any(c.isdigit() for c in rest)
    return first in ("a", "an", *_OF_THE_BEST) or unit or number


def related(place: Place, base: Any, slot: Slot) -> Any | None:
    """Return a value from the words that relate it to another one; None where they do not."""
    text = place.text.lower()
    if isinstance(base, bool) or not isinstance(base, int | float):
        return base if _SAME.search(text) else None
    factor = _factor(text)
    if factor is not None:
        return plain(
            scaled(float(base), factor),
            is_integer=slot.is_integer and float(base * factor).is_integer(),
        )
    if (
        _NEXT.search(text)
        and slot.dimension is Dimension.COUNT
        and not re.search(r"\d", text)
    ):
        return base + 1
    difference = number_at(place, slot)
    if difference is not None:
        size = abs(difference)
        if _LESS.search(text):
            return plain(scaled(base - size, 1), is_integer=slot.is_integer)
        if _MORE.search(text):
            return plain(scaled(base + size, 1), is_integer=slot.is_integer)
        return None
    same = _SAME.search(text) or set(re.findall(r"[a-z]+", text)) & set(_ORDINALS)
    return base if same else None


def _factor(text: str) -> float | None:
    if (match := _TIMES.search(text)) is not None:
        word = match[1] or match[2] or match[3]
        return NUMBER_WORDS.get(word) or float(word)
    if (fraction := fraction_of(text)) is not None:
        return fraction[0]
    for word in re.findall(r"[a-z]+", text):
        if word in _WORDS:
            return _WORDS[word]
    match = re.search(
        r"\b(?:a|one) (third|quarter|tenth|fifth|half) (?:of|the|as)\b", text
    )
    return None if match is None else fraction_of(match[0])[0]  # type: ignore[index]


def says_how_often(place: Place) -> bool:
    """Return whether words like "twice" and "first" are a number by themselves."""
    words = re.findall(r"[a-z]+", place.text.lower())
    return bool(set(words) & {"once", "twice", "thrice", "first"}) and "as" not in words


def names_the_same(place: Place) -> bool:
    """Return whether words for a name or a list say only that it is another job's."""
    return _SAME_NAME.match(place.text.lower().strip()) is not None


def job_named(place: Place, names: Sequence[Sequence[str]]) -> int | None:
    """Return the index of the job that some words name: "as the second", "half of milk's time".

    names: of the files of each job. The words right behind count too.
    """
    text = place.scene.text.folded.lower()
    behind = re.split(r"[.,;\n](?=\s|$)", text[place.end : place.end + _BEHIND])[0]
    spoken = text[place.start : place.end] + behind
    for index, row in enumerate(names):
        for name in row:
            stem = name.lower().partition(".")[0]
            if len(stem) > 1 and re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", spoken):
                return index
    for word in re.findall(r"[a-z0-9]+", place.text.lower()):
        if word in _ORDINALS:
            return _ORDINALS.index(word)
        if re.fullmatch(r"[1-9](?:st|nd|rd|th)", word):
            return int(word[0]) - 1
    return None


def is_a_chain(place: Place) -> bool:
    """Return whether each job follows from the one before: "twice the time of the one before"."""
    return (
        re.search(r"\b(?:before|previous|preceding|last)\b", place.text.lower())
        is not None
    )
