"""Miscompile quarantine: bisect a recipe to the first pass that changes behaviour.

The reproducer names the LLVM build, the last good and the first bad prefix of the pipeline
(bisected and then confirmed) and, where per-function decisions are needed, the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from search.domains.compile.answer import Quarantined, Reproducer
from search.domains.compile.search.behaviour import BehaviourOracle
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.pipeline import BadPipeline, Pass, leaves, parse, text_of
from solvers.llvm.types import Recipe

_EMPTY = "no-op-module"
_MOST_REDUCED = 3  # quarantined candidates that are bisected

Differs = Callable[[Recipe], str | None]
"""Build and run a recipe; return the difference in behaviour, None when none was observed."""


def reduce_quarantined(
    quarantined: list[Quarantined],
    engine: Engine,
    oracle: BehaviourOracle,
    *,
    stopped: Callable[[], bool],
) -> None:
    """Find reproducers for the first quarantined candidates while there is time."""

    def differs(recipe: Recipe) -> str | None:
        try:
            verdict = oracle.compare(engine.build(recipe).object)
        except CandidateFailed:
            return None
        return verdict.detail if not verdict.equal and not verdict.stopped else None

    for index, bad in enumerate(quarantined[:_MOST_REDUCED]):
        if not stopped():
            reproducer = find_reproducer(bad.recipe, differs, stopped=stopped)
            quarantined[index] = replace(bad, reproducer=reproducer)


def find_reproducer(
    recipe: Recipe, differs: Differs, *, stopped: Callable[[], bool]
) -> Reproducer | None:
    """Bisect a bad recipe to its first bad pass.

    None when it is stopped early, or when the recipe does not differ a second time.
    """
    return _Bisection(differs, stopped).run(recipe)


class _Bisection:
    """Reduction of one bad recipe; counts the programs it builds and runs."""

    def __init__(self, differs: Differs, stopped: Callable[[], bool]) -> None:
        self._differs, self._stopped = differs, stopped
        self._programs_run = 0

    def run(self, recipe: Recipe) -> Reproducer | None:
        if not self._bad_in_time(recipe):
            return None
        recipe = self._without_function_decisions(recipe)
        if recipe.function_tails:
            return self._bisect_tails(recipe)
        recipe = self._without_options(recipe)
        try:
            items = parse(recipe.pipeline)
        except BadPipeline:
            return None
        return self._bisect_passes(recipe, items)

    def _bad(self, recipe: Recipe) -> bool:
        self._programs_run += 1
        return self._differs(recipe) is not None

    def _bad_in_time(self, recipe: Recipe) -> bool:
        """Like `_bad`; False when stopped."""
        return not self._stopped() and self._bad(recipe)

    def _without_function_decisions(self, recipe: Recipe) -> Recipe:
        """Drop attributes and function tails that the difference does not need."""
        for smaller in (
            replace(recipe, function_options=()),
            replace(recipe, function_tails=(), attributes=(), late_attributes=()),
            replace(recipe, attributes=(), late_attributes=()),
            replace(recipe, function_tails=()),
            replace(recipe, attributes=()),
            replace(recipe, late_attributes=()),
        ):
            if smaller != recipe and self._bad_in_time(smaller):
                return smaller
        return recipe

    def _without_options(self, recipe: Recipe) -> Recipe:
        """Drop options of LLVM, one by one, that the difference does not need."""
        for option in recipe.options:
            others = tuple(other for other in recipe.options if other != option)
            fewer = replace(recipe, options=others)
            if self._bad_in_time(fewer):
                recipe = fewer
        return recipe

    def _bisect_passes(
        self, recipe: Recipe, items: tuple[Pass, ...]
    ) -> Reproducer | None:
        passes = [leaf.name for leaf in leaves(items)]
        # The prefix of `high` passes is bad; that of `low` is assumed to be good.
        low, high = 0, len(passes)
        while high - low > 1:
            if self._stopped():
                return None
            middle = (low + high) // 2
            if self._bad(replace(recipe, pipeline=text_of(prefix(items, middle)))):
                high = middle
            else:
                low = middle
        good = text_of(prefix(items, high - 1))
        confirmed = high > 1 and self._good_in_time(replace(recipe, pipeline=good))
        if high == 1 and recipe.options:
            empty = replace(recipe, pipeline=_EMPTY)
            if self._bad_in_time(empty):
                return Reproducer(
                    last_pass=" ".join(recipe.options),
                    good_pipeline=_EMPTY,
                    bad=empty,
                    confirmed=self._good_in_time(replace(empty, options=())),
                    programs_run=self._programs_run,
                )
        return Reproducer(
            last_pass=passes[high - 1] if passes else "",
            good_pipeline=good,
            bad=replace(recipe, pipeline=text_of(prefix(items, high))),
            confirmed=confirmed,
            programs_run=self._programs_run,
        )

    def _good_in_time(self, recipe: Recipe) -> bool:
        return not self._stopped() and not self._bad(recipe)

    def _bisect_tails(self, recipe: Recipe) -> Reproducer | None:
        """Halve the list of function tails while one half alone is bad."""
        tails = recipe.function_tails
        while len(tails) > 1:
            if self._stopped():
                return None
            middle = len(tails) // 2
            for half in (tails[:middle], tails[middle:]):
                if self._bad(replace(recipe, function_tails=half)):
                    tails = half
                    break
            else:
                break
        return Reproducer(
            last_pass=tails[0][1] if len(tails) == 1 else "per-function decisions",
            good_pipeline=recipe.pipeline,
            bad=replace(recipe, function_tails=tails),
            functions=tuple(name for name, _ in tails),
            programs_run=self._programs_run,
        )


def minimise_passes(
    recipe: Recipe, differs: Differs, *, stopped: Callable[[], bool]
) -> Recipe:
    """Remove all passes of a bad recipe without which it stays bad.

    Chunks of a half, a quarter, … and single passes are left out in turn (ddmin: Zeller and
    Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). Unless stopped
    early, the result is 1-minimal: without any one of its passes it is good.
    """
    items = parse(recipe.pipeline)
    places = list(range(sum(1 for _ in leaves(items))))

    def with_passes(chosen: Sequence[int]) -> Recipe:
        return replace(recipe, pipeline=text_of(only(items, chosen)))

    size = max(1, len(places) // 2)
    while places:
        before = len(places)
        start = 0
        while start < len(places):
            fewer = places[:start] + places[start + size :]
            if stopped():
                return with_passes(places)
            if fewer and differs(with_passes(fewer)) is not None:
                places = fewer
            else:
                start += size
        if size == 1 and len(places) == before:
            break
        size = max(1, size // 2)
    return with_passes(places)


def prefix(items: Sequence[Pass], count: int) -> tuple[Pass, ...]:
    """Return the first `count` passes of a pipeline in their adaptors, without empty ones."""
    return only(items, range(count))


def only(items: Sequence[Pass], places: Sequence[int]) -> tuple[Pass, ...]:
    """Return the passes at `places` (depth first, from 0) in their adaptors, without empty ones."""
    chosen, number = frozenset(places), -1

    def walk(inner: Sequence[Pass]) -> tuple[Pass, ...]:
        nonlocal number
        remaining = []
        for item in inner:
            if item.inner is None:
                number += 1
                if number in chosen:
                    remaining.append(item)
            elif fewer := walk(item.inner):
                remaining.append(replace(item, inner=fewer))
        return tuple(remaining)

    return walk(items)
