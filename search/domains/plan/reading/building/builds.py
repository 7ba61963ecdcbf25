"""Statements of a goal about building, linking and running its programs."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.building.compiler import (
    read_defines,
    read_flags,
    read_header_folders,
    read_libraries,
)
from search.domains.plan.reading.building.image import read_image
from search.domains.plan.reading.building.runs import read_runs
from search.domains.plan.reading.building.sources import read_sources
from search.domains.plan.reading.building.statement import KIND
from search.domains.plan.reading.scene import Scene


def builds_of(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Return what the goal says about building, linking and running its programs."""
    if KIND not in kinds:
        return []
    bounds: list[Bound] = []
    bounds += read_sources(scene)
    bounds += read_defines(scene)
    bounds += read_header_folders(scene)
    bounds += read_flags(scene)
    bounds += read_libraries(scene)
    bounds += read_image(scene)
    taken = {t for bound in bounds for t in bound.tokens}
    bounds += read_runs(scene, taken)
    return bounds
