"""Random mixed-integer programs of six planning problems, seeded, in two regimes.

`fresh`: all data are new with every seed. `recurring`: network, plant and costs are those of a
fixed plant, and only the demand is new, as in a program that is solved every night. Training may
use seeds below 500, tuning 501 and 502; measurements begin at 1000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.assignments import generalised_assignment
from workers.corpus.mixed_programs.facilities import facility_location
from workers.corpus.mixed_programs.items import item_placement
from workers.corpus.mixed_programs.lots import lot_sizing
from workers.corpus.mixed_programs.networks import network_design
from workers.corpus.mixed_programs.units import unit_commitment

REGIMES = ("fresh", "recurring")
_PLANT, _DEMAND = 1, 2  # streams of random numbers
_RECURRING_PLANT = (0, _PLANT)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A generator and the arguments of each size. `S` has a gap after 30 s of HiGHS; `tiny` is
    for tests."""

    make: Callable[..., MilpModel]
    sizes: Mapping[str, Mapping[str, Any]]


FAMILIES: Mapping[str, Recipe] = MappingProxyType(
    {
        "facility-location": Recipe(
            make=facility_location,
            sizes={
                "tiny": {"customers": 12, "sites": 5},
                "S": {"customers": 200, "sites": 60},
            },
        ),
        "generalised-assignment": Recipe(
            make=generalised_assignment,
            sizes={"tiny": {"agents": 4, "jobs": 16}, "S": {"agents": 40, "jobs": 400}},
        ),
        "lot-sizing": Recipe(
            make=lot_sizing,
            sizes={
                "tiny": {"items": 6, "periods": 8},
                "S": {"items": 60, "periods": 60},
                "L": {"items": 120, "periods": 80},
            },
        ),
        "unit-commitment": Recipe(
            make=unit_commitment,
            sizes={"tiny": {"units": 8, "hours": 12}, "S": {"units": 100, "hours": 48}},
        ),
        "network-design": Recipe(
            make=network_design,
            sizes={
                "tiny": {"nodes": 6, "arcs": 20, "commodities": 5},
                "S": {"nodes": 20, "arcs": 230, "commodities": 60},
            },
        ),
        "item-placement": Recipe(
            make=item_placement,
            sizes={
                "tiny": {"small": 16, "big": 2, "bins": 3},
                "S": {"small": 100, "big": 5, "bins": 10},
            },
        ),
    }
)


def generate(
    family: str, seed: int, *, size: str = "S", regime: str = "fresh"
) -> MilpModel:
    """Return an instance. Raises KeyError for an unknown family or size, ValueError for a regime.

    Data are rounded to six decimals, so that the exact check's fractions stay short.
    """
    if regime not in REGIMES:
        raise ValueError(f"regime: expected one of {', '.join(REGIMES)}, got {regime!r}")
    recipe = FAMILIES[family]
    arguments = recipe.sizes[size]
    if regime == "fresh":
        return recipe.make(**arguments, plant=np.random.default_rng((seed, _PLANT)))
    return recipe.make(
        **arguments,
        plant=np.random.default_rng(_RECURRING_PLANT),
        demand=np.random.default_rng((seed, _DEMAND)),
    )
