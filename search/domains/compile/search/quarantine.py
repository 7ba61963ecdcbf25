"""A candidate whose program behaved otherwise: set aside, and brought down to the first pass after which it is so.

The reproducer names the LLVM build, the last good and the first bad prefix of the pipeline (pass granularity, found by
halving and then confirmed), the functions whose own decisions matter where there are such, and the run that tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from solvers.llvm.pipeline import BadPipeline, Pass, leaves, parse, text_of
from solvers.llvm.types import Recipe

_EMPTY = "no-op-module"

Differs = Callable[[Recipe], str | None]
"""Builds and runs a recipe: what differs; None when nothing does, or when it cannot be told."""


@dataclass(frozen=True, kw_only=True)
class Reproducer:
    """Where it begins to go wrong."""

    last_pass: str  # of the first bad prefix; or "per-function decisions"; or LLVM's options that are bad by themselves
    good_pipeline: str  # the longest prefix before it, "" when even the empty one is bad
    bad: Recipe
    functions: tuple[str, ...] = ()  # whose own tails are needed
    confirmed: bool = True  # the good prefix was run too, and is good
    asked: int = 0  # programs built and run for this

    def as_json(self) -> dict[str, Any]:
        """For the report and for whoever repeats it."""
        return {
            "last_pass": self.last_pass,
            "good_pipeline": self.good_pipeline,
            "bad": self.bad.as_json(),
            "functions": list(self.functions),
            "confirmed": self.confirmed,
            "programs_run": self.asked,
        }


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A candidate that is no answer any more."""

    build_id: str  # of LLVM: another build may be innocent
    name: str
    recipe: Recipe
    objective: float
    why: str  # what differed
    reproducer: Reproducer | None = None  # None: no time was left

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "llvm": self.build_id,
            "name": self.name,
            "recipe": self.recipe.as_json(),
            "objective": self.objective,
            "why": self.why,
            "reproducer": self.reproducer.as_json() if self.reproducer else None,
        }


def reduced(
    recipe: Recipe, differs: Differs, *, stopped: Callable[[], bool]
) -> Reproducer | None:
    """Bring a bad recipe down. None when stopped before an end, or when it does not differ a second time."""
    asked = 0

    def bad(candidate: Recipe) -> bool:
        nonlocal asked
        asked += 1
        return differs(candidate) is not None

    if stopped() or not bad(recipe):
        return None
    for smaller in (
        replace(recipe, function_tails=(), attributes=(), late_attributes=()),
        replace(recipe, attributes=(), late_attributes=()),
        replace(recipe, function_tails=()),
        replace(recipe, attributes=()),
        replace(recipe, late_attributes=()),
    ):
        if smaller != recipe and not stopped() and bad(smaller):
            recipe = smaller
            break
    if recipe.function_tails:
        return _needed_tails(recipe, bad, stopped, lambda: asked)
    for option in recipe.options:
        fewer = replace(
            recipe, options=tuple(other for other in recipe.options if other != option)
        )
        if not stopped() and bad(fewer):
            recipe = fewer
    try:
        items = parse(recipe.pipeline)
    except BadPipeline:
        return None
    passes = [leaf.name for leaf in leaves(items)]
    low, high = (
        0,
        len(passes),
    )  # the prefix of `high` passes is bad; that of `low` is taken to be good
    while high - low > 1:
        if stopped():
            return None
        middle = (low + high) // 2
        if bad(replace(recipe, pipeline=text_of(prefix(items, middle)))):
            high = middle
        else:
            low = middle
    good = text_of(prefix(items, high - 1))
    confirmed = high > 1 and not stopped() and not bad(replace(recipe, pipeline=good))
    if (
        high == 1
        and recipe.options
        and not stopped()
        and bad(replace(recipe, pipeline=_EMPTY))
    ):
        plain = replace(recipe, pipeline=_EMPTY)
        confirmed = not stopped() and not bad(replace(plain, options=()))
        return Reproducer(
            last_pass=" ".join(recipe.options),
            good_pipeline=_EMPTY,
            bad=plain,
            confirmed=confirmed,
            asked=asked,
        )
    return Reproducer(
        last_pass=passes[high - 1] if passes else "",
        good_pipeline=good,
        bad=replace(recipe, pipeline=text_of(prefix(items, high))),
        confirmed=confirmed,
        asked=asked,
    )


def shortened(recipe: Recipe, differs: Differs, *, stopped: Callable[[], bool]) -> Recipe:
    """A bad recipe without the passes it stays bad without: halves, quarters, … single ones are left out (ddmin, Zeller and
    Hildebrandt 2002). When not stopped, it is good without any one of the passes left: these make it bad together."""
    items = parse(recipe.pipeline)
    places = list(range(sum(1 for _ in leaves(items))))
    size = max(1, len(places) // 2)
    while places:
        before = len(places)
        start = 0
        while start < len(places):
            fewer = places[:start] + places[start + size :]
            if stopped():
                return replace(recipe, pipeline=text_of(only(items, places)))
            if (
                fewer
                and differs(replace(recipe, pipeline=text_of(only(items, fewer))))
                is not None
            ):
                places = fewer
            else:
                start += size
        if size == 1 and len(places) == before:
            break
        size = max(1, size // 2)
    return replace(recipe, pipeline=text_of(only(items, places)))


def prefix(items: Sequence[Pass], count: int) -> tuple[Pass, ...]:
    """The pipeline with its first `count` passes only, in their adaptors; adaptors left empty go."""
    return only(items, range(count))


def only(items: Sequence[Pass], places: Sequence[int]) -> tuple[Pass, ...]:
    """The pipeline with the passes of these numbers (depth first, from 0) only, in their adaptors; adaptors left empty go."""
    wanted, number = frozenset(places), -1

    def walk(inner: Sequence[Pass]) -> tuple[Pass, ...]:
        nonlocal number
        kept = []
        for item in inner:
            if item.inner is None:
                number += 1
                if number in wanted:
                    kept.append(item)
            elif fewer := walk(item.inner):
                kept.append(replace(item, inner=fewer))
        return tuple(kept)

    return walk(items)


def _needed_tails(
    recipe: Recipe,
    bad: Callable[[Recipe], bool],
    stopped: Callable[[], bool],
    asked: Callable[[], int],
) -> Reproducer | None:
    """Halve the list of functions' own pipelines while one half alone is bad."""
    tails = recipe.function_tails
    while len(tails) > 1:
        if stopped():
            return None
        middle = len(tails) // 2
        half = next(
            (
                part
                for part in (tails[:middle], tails[middle:])
                if bad(replace(recipe, function_tails=part))
            ),
            None,
        )
        if half is None:
            break
        tails = half
    return Reproducer(
        last_pass=tails[0][1] if len(tails) == 1 else "per-function decisions",
        good_pipeline=recipe.pipeline,
        bad=replace(recipe, function_tails=tails),
        functions=tuple(name for name, _ in tails),
        asked=asked(),
    )
