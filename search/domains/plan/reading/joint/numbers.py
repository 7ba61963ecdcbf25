"""Numbers from the words that state them, in the unit of their slot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from search.domains.plan.reading.binding.bound import COUNT
from search.domains.plan.reading.binding.conversion import fits, plain, values_of
from search.domains.plan.reading.bounds import fold
from search.domains.plan.reading.joint.place import Place, quantities_in, unquoted
from search.domains.plan.reading.joint.spelt import fraction_of, said_in_hundreds, spelt
from search.domains.plan.reading.numerals import NUMBER_WORDS
from search.domains.plan.reading.quantities.find import quantities_of
from search.domains.plan.reading.quantities.quantity import Quantity, Shape, scaled
from search.domains.plan.reading.scene import Scene, scene_of
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.reading.units import UNITS, Dimension, Unit

_NONE = vocabulary(
    "no not none nothing without never zero skip omit drop don't dont neither nor out off w/o"
)
_OFTEN = {
    "once": 1.0,
    "twice": 2.0,
    "thrice": 3.0,
    "single": 1.0,
    "first": 1.0,
    "second": 2.0,
}
_RETRY = vocabulary("retry retries retrying again repeat")
_EITHER_SIDE = vocabulary("± plus/minus plus minus + tolerance either")
_SO = re.compile(
    r"(?:,? so|,? i\.e\.,?|,? say|,? that is,?|,? that's|,? make that)\s+(?=\S)", re.I
)
_CORRECTED = re.compile(
    r"\b(?:no|not|actually|sorry|hmm|rather|instead|wait|make)\b|->|→"
)
_UNIT = re.compile(r"%|\b(?:percent|per cent|per ?mille|permil)\b")
_OF_NODES = re.compile(
    r"\b(?:of|by|times|nodes?|boxes|hosts?|machines?|servers?|each|with|per)\b|[x×*]"
)
_UNITLESS = (Dimension.COUNT, Dimension.RATIO)
_LOWEST_HZ, _HIGHEST_HZ = 2e7, 2e11
_UNIT_OFFSETS = (-1, -2, -3)  # "minutes 30", "minutes: 30", "time (min): 30"


def numbers_at(place: Place, slot: Slot, *, every: bool = False) -> tuple[float, ...]:
    """Return the numbers of some words in the slot's unit; empty where there is none that fits.

    every: for a list; numbers inside a phrase, such as that of "device 0", count too.
    """
    if (spoken := _spelt(place, slot)) is not None:
        return spoken
    best: tuple[float, ...] = ()
    for quantities, scene in _readings(place):
        values = [
            value
            for quantity in quantities
            for value in _converted(scene, quantity, slot)
        ]
        if values and not every:
            return tuple(values)
        best = max(best, tuple(values), key=len)
    return best or tuple(_said(place, slot))


def number_at(place: Place, slot: Slot) -> Any | None:
    """Return the one number that some words state for a slot; None where they state none."""
    marks = list(_SO.finditer(place.text))
    if slot.dimension is Dimension.LENGTH:
        marks += re.finditer(r"\((?=\d)", place.text)
    for mark in marks:  # "half of the 80 GiB, so forty"
        rest = replace(
            place, start=place.start + mark.end(), tokens=place.behind(mark.end())
        )
        if values := numbers_at(rest, slot):
            return values[-1]
    values = numbers_at(place, slot)
    if not values:
        return None
    if slot.path == COUNT and len(values) > 1 and _OF_NODES.search(place.text.lower()):
        product = 1.0
        for value in values:
            product *= value
        return plain(product, is_integer=True)
    if len(set(values)) == 1:
        return values[0]
    if slot.dimension is Dimension.LENGTH and not _same_again(values):
        return min(values)
    return values[-1]


def in_groups(places: Sequence[Place]) -> bool:
    """Return whether numbers at some places multiply: "2 nodes of 8", not "six, no, eight"."""
    text = places[0].scene.text.folded[places[0].start : places[-1].end].lower()
    return _OF_NODES.search(text) is not None and _CORRECTED.search(text) is None


def _same_again(values: Sequence[float]) -> bool:
    """Return whether a value is said twice: "one sixteenth inch (1.5875 mm)"."""
    low, high = min(values), max(values)
    return high - low <= 0.01 * abs(high)


def edge_at(places: Sequence[Place], slot: Slot, *, high: bool) -> float | None:
    """Return an edge of a band in hertz.

    The words state the edge, the whole band, or a middle and a width: "2.45 GHz, 100 MHz wide".
    """
    pairs: list[tuple[float, Quantity]] = []
    for place in places:
        if (spoken := _spelt(place, slot)) is not None:
            single = Quantity(
                shape=Shape.SINGLE, numbers=spoken, units=(), start=0, end=0, tokens=()
            )
            pairs += [(value, single) for value in spoken]
            continue
        for quantities, scene in _readings(place):
            found = [(v, q) for q in quantities for v in _converted(scene, q, slot)]
            if found:
                pairs += found
                break
    if not pairs:
        return None
    values = [value for value, _ in pairs]
    words = {word for place in places for word in place.words}
    middle, width = values[0], values[-1]
    if len(values) == 2 and width < middle / 3:
        around = pairs[0][1].shape is Shape.AROUND or words & _EITHER_SIDE
        half = width if around else width / 2
        values = [middle - half, middle + half]
    value = max(values) if high else min(values)
    return float(f"{value:.12g}")


def _spelt(place: Place, slot: Slot) -> tuple[float, ...] | None:
    """Return the numbers of words with an unusual spelling; None for an ordinary one."""
    text = place.text.lower()
    if slot.dimension is Dimension.FREQUENCY:
        bare = text.removesuffix("megahertz").removesuffix("mhz").strip()
        if (megahertz := said_in_hundreds(bare)) is not None:
            return (megahertz * 1e6,)
    written = spelt(text)
    fraction = fraction_of(written)
    factor = 1.0
    if fraction is not None and slot.dimension is Dimension.RATIO:
        share_of_one = not _has_number(fraction[1], place) and not _UNIT.search(
            fraction[1]
        )
        if share_of_one:
            return (fraction[0],)
    if fraction is not None and fraction[1]:
        factor, written = fraction
        if not _has_number(written, place):
            written = f"1 {written.removeprefix('an ').removeprefix('a ')}"
    elif written == text:
        return None
    if not written.strip():
        return None
    scene = scene_of(fold(written), (), place.scene.lexicon)
    quantities = list(quantities_of(scene.tokens))
    values = [
        v
        for quantity in quantities
        for v in _converted(scene, quantity, slot, place.scene)
    ]
    if not values:
        return None
    return tuple(plain(scaled(v, factor), is_integer=slot.is_integer) for v in values)


def _has_number(text: str, place: Place) -> bool:
    tokens = scene_of(fold(text), (), place.scene.lexicon).tokens
    return any(token.form is Form.NUMBER for token in tokens)


def _readings(place: Place) -> Iterator[tuple[list[Quantity], Scene]]:
    """Yield what the goal around some words makes of them, then the words as if unquoted."""
    yield quantities_in(place, place.scene.quantities), place.scene
    bare = unquoted(place)
    yield quantities_in(bare, bare.scene.quantities), bare.scene
    alone = scene_of(fold(place.text), (), place.scene.lexicon)
    yield quantities_of(alone.tokens), alone


def _converted(
    scene: Scene, quantity: Quantity, slot: Slot, around: Scene | None = None
) -> Sequence[float]:
    """Return the numbers of a quantity in a slot's unit, as they can be; empty where none can."""
    dimension = slot.dimension
    if dimension is None:
        return ()
    if not quantity.units and dimension not in _UNITLESS:
        return _with_unit(scene, quantity, slot, around or scene)
    if quantity.reading(dimension) is not None:
        if fits(scene, quantity, slot):
            return values_of(scene, quantity, slot)
        if dimension is Dimension.RATIO and not quantity.units:
            return tuple(n / 100 for n in quantity.numbers if 1 < n <= 100)
        return ()
    if quantity.units and dimension in _UNITLESS:
        share = quantity.reading(Dimension.RATIO)
        if share is not None and not slot.is_integer:
            return share  # a loss tangent of two per mille
        # The unit belongs to another word: "8 m threads", "1 g".
        bare = replace(quantity, units=())
        return values_of(scene, bare, slot) if fits(scene, bare, slot) else ()
    return ()


def _with_unit(
    scene: Scene, quantity: Quantity, slot: Slot, around: Scene
) -> Sequence[float]:
    """Give a number the unit that stands in front of it, or the nearest one that makes sense."""
    assert slot.dimension is not None
    for unit in _units(scene, quantity, slot.dimension, around):
        whole = replace(quantity, units=(unit,), exact=True)
        values = values_of(scene, whole, slot)
        if all(_makes_sense(value, slot) for value in values):
            return values
    if slot.dimension is Dimension.FREQUENCY:
        return tuple(
            scaled(n, 1e9 if n < 100 else 1e6) for n in quantity.numbers if n > 0
        )
    if fits(scene, quantity, slot):
        return values_of(scene, quantity, slot)
    return quantity.numbers if not any(quantity.numbers) else ()  # zero has any unit


def _units(
    scene: Scene, quantity: Quantity, dimension: Dimension, around: Scene
) -> Iterator[Unit]:
    for offset in _UNIT_OFFSETS:
        at = quantity.tokens[0] + offset
        token = scene.tokens[at] if at >= 0 else None
        if token is not None and token.form is Form.WORD:
            yield from (u for u in UNITS.get(token.word, ()) if u.dimension is dimension)
            break
    near = [
        (abs(other.start - quantity.start), unit.factor, unit)
        for other in around.quantities
        for unit in other.units
        if unit.dimension is dimension
    ]
    yield from (unit for _, _, unit in sorted(near, key=lambda row: row[:2]))


def _makes_sense(value: float, slot: Slot) -> bool:
    if slot.dimension is Dimension.FREQUENCY:
        return _LOWEST_HZ < value < _HIGHEST_HZ
    low, high = slot.least, slot.most
    return (low is None or value >= low) and (high is None or value <= high)


def _said(place: Place, slot: Slot) -> list[float]:
    """Return what words without a number say: "no vias", "twice", "No retries"."""
    words = place.words
    if slot.path == "max_attempts" and set(words) & _RETRY and set(words) & _NONE:
        return [1]
    allowed = slot.least is None or slot.least <= 0
    if allowed and set(words) & _NONE:
        return [0]
    if slot.dimension in _UNITLESS and slot.is_integer:
        for word in words:
            if word in _OFTEN:
                return [plain(_OFTEN[word], is_integer=True)]
            if word in NUMBER_WORDS:
                return [plain(NUMBER_WORDS[word], is_integer=True)]
    return []
