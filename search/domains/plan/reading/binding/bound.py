"""Values bound to slots of one or more kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.domains.plan.reading.quantities.quantity import Quantity, Shape

COUNT = "spec.devices.0.count"
HARDWARE = "spec.devices.0.hardware"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A value with the slot that it has in each kind that has one for it."""

    paths: Mapping[str, str]  # kind → slot
    # Kind → values in the spec's unit; several: variants
    values: Mapping[str, tuple[Any, ...]]
    tokens: tuple[int, ...]
    shape: Shape = Shape.SINGLE
    removes: bool = False  # the goal rules the value out
    choice: bool = False
    note: str = ""
    rivals: tuple[str, ...] = ()  # titles of other slots that fit as well
    quantity: Quantity | None = None
    strong: bool = False  # outranks weaker statements of the same slot
    # Kind → distance to the slot's name
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def at(self) -> int:
        """First token."""
        return self.tokens[0]
