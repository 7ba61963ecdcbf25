"""Readings made of two: the jobs of one with values that only the other has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from search.domains.plan.choosing.forms import Comparison
from search.domains.plan.reading.joint.requests import refused
from search.domains.plan.types import Reading, Value, Wish
from trimtab.specs.common import Spec


def with_values(
    base: Reading,
    other: Reading,
    comparison: Comparison,
    specs: Mapping[str, type[Spec]],
    *,
    overruled: bool = False,
) -> Reading | None:
    """Return a reading with values that only the other one has; None where nothing is added.

    comparison: of `base` with `other`. overruled: the other's value where the two differ, instead.
    None too where a job would be refused.
    """
    wishes: list[Wish] = list(base.wishes)
    changed = False
    for pair in comparison.pairs:
        taken = pair.differing if overruled else pair.only_other
        if not taken:
            continue
        wish, source = wishes[pair.one], other.wishes[pair.other]
        values = _taken(source, taken)
        if values is None:
            return None
        kept = [
            v for v in wish.values if not _inside(v.path, [each.path for each in values])
        ]
        made = replace(wish, values=(*kept, *values))
        if refused(made, specs) is not None:
            return None
        wishes[pair.one] = made
        changed = True
    return replace(base, wishes=tuple(wishes)) if changed else None


def _taken(source: Wish, paths: tuple[str, ...]) -> list[Value] | None:
    """Return the values of a job at or around some paths; None where one is not stated there."""
    found: dict[str, Value] = {}
    for path in paths:
        value = next((v for v in source.values if _inside(path, [v.path])), None)
        if value is None:
            return None
        found[value.path] = value
    return list(found.values())


def _inside(path: str, wholes: list[str]) -> bool:
    return any(path == whole or path.startswith(f"{whole}.") for whole in wholes)
