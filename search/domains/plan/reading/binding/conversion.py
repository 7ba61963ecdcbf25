"""Conversion of a quantity to the unit of a slot, where it fits the slot."""

from __future__ import annotations

import re
from typing import Any

from search.domains.plan.reading.quantities.quantity import Quantity, Shape, scaled
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import Slot
from search.domains.plan.reading.units import Dimension

_THOUSANDS = re.compile(r"[1-9]\d{0,2}\.\d{3}")


def fits(scene: Scene, quantity: Quantity, slot: Slot) -> bool:
    """Return whether a slot can have a quantity: unit or unit nearby, whole number, ratio."""
    if slot.dimension is None:
        return False
    reading = quantity.reading(slot.dimension)
    if reading is None:
        return (
            not quantity.units
            and _unit_nearby(scene, quantity, slot.dimension) is not None
        )
    if slot.is_integer and any(v != int(v) for v in reading if v == v and abs(v) < 1e15):
        return _points_thousands(scene, quantity)
    return not (
        slot.dimension is Dimension.RATIO and not quantity.units and max(reading) > 1
    )


def is_plausible(quantity: Quantity, slot: Slot) -> bool:
    """Return whether the values lie within the limits of the slot; a level's sign is free."""
    if slot.negative or slot.dimension is None:
        return True
    reading = quantity.reading(slot.dimension) or ()
    low, high = slot.least, slot.most
    return all((low is None or v >= low) and (high is None or v <= high) for v in reading)


def is_usual(quantity: Quantity, slot: Slot) -> bool:
    """Return whether the value alone speaks for a slot: 1.6 mm is a thickness, 30 mm a board."""
    if slot.usual is None or slot.dimension is None:
        return True
    low, high = slot.usual
    return all(low <= v <= high for v in quantity.reading(slot.dimension) or ())


def values_of(scene: Scene, quantity: Quantity, slot: Slot) -> tuple[Any, ...]:
    """Return the values of a quantity that fits a slot, in the slot's unit."""
    assert slot.dimension is not None
    reading = quantity.reading(slot.dimension)
    if reading is None:
        factor = _unit_nearby(scene, quantity, slot.dimension)
        assert factor is not None
        reading = tuple(scaled(n, factor) for n in quantity.numbers)
    whole = all(v == int(v) for v in reading if v == v and abs(v) < 1e15)
    if slot.is_integer and not whole and _points_thousands(scene, quantity):
        reading = tuple(float(round(v * 1000)) for v in reading)
    if slot.binary and quantity.suffix == "k":
        reading = tuple(v / 1000 * 1024 for v in reading)
    if slot.negative:
        reading = tuple(-abs(v) for v in reading)
    return tuple(plain(v, is_integer=slot.is_integer) for v in reading)


def plain(value: float, *, is_integer: bool) -> Any:
    """Return a number as JSON has it: whole ones of an integer slot without a fraction."""
    if value != value or abs(value) >= 1e15:
        return value
    return int(value) if is_integer or value == int(value) else value


def note_of(quantity: Quantity, slot: Slot) -> str:
    """Return the remark on a unit that can be read in two ways, else nothing."""
    assert slot.dimension is not None
    if slot.binary and quantity.suffix == "k":
        return f"{quantity.numbers[0]:g}k of samples is read as {quantity.numbers[0] * 1024:,.0f}"
    if slot.dimension is Dimension.MEMORY:
        return quantity.note(slot.dimension)
    return ""


def _points_thousands(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a whole number is written with a point between thousands: 8.192."""
    text = scene.tokens[quantity.start].text
    return (
        quantity.shape is Shape.SINGLE
        and not quantity.units
        and _THOUSANDS.fullmatch(text) is not None
    )


def _unit_nearby(scene: Scene, quantity: Quantity, dimension: Dimension) -> float | None:
    """Return the factor of the nearest unit of a dimension, for a number without one."""
    if dimension in (Dimension.COUNT, Dimension.RATIO, Dimension.TIME):
        return None
    near = [
        (abs(other.start - quantity.start), unit.factor)
        for other in scene.quantities
        for unit in other.units
        if unit.dimension is dimension
        and scene.sentence(other.start) >= scene.sentence(quantity.start) - 1
    ]
    if near:
        return min(near)[1]
    # A level or a length beside its slot's name has one usual unit.
    usual = (
        Dimension.LEVEL,
        Dimension.RESISTANCE,
        Dimension.LENGTH,
        Dimension.CONDUCTIVITY,
        Dimension.MEMORY,
    )
    return 1.0 if dimension in usual else None
