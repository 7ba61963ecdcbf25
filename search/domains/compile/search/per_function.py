"""Per-function decisions at the cost of whole modules: an object tells every function's bytes from one compilation.

After the last interprocedural pass functions do not see each other, so each may take its own best. K compilations, each with
another function pipeline at the end, fill an F × K matrix; one more without `minsize` tells which functions are smaller without
it. The mixed module is then measured whole, because alignment and shared constants are nobody's.
A function's bytes are those of its symbol and of its entry in .eh_frame: what `minsize` saves in code on x86 (push and pop
for constants) it may lose there, as each push is described.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from solvers.llvm.engine import Engine
from solvers.llvm.types import Measured, Metric, Outcome, Recipe

_MINSIZE = "minsize"
_WITHOUT = (
    f"-force-remove-attribute={_MINSIZE}"  # the option that takes it from all functions
)

Seen = Callable[[str, Measured], object]


def mixed(
    engine: Engine,
    base: Measured,
    tails: Mapping[str, str],
    metric: Metric = Metric.LOADABLE_BYTES,
    *,
    stopped: Callable[[], bool],
    patience_s: float | None = None,
    seen: Seen = lambda name, measured: None,
) -> Recipe | None:
    """`base` with each function's best tail; None when no tail makes any function smaller. Costs len(tails) compilations.

    base: measured with an object, so that its function sizes are there. metric: one of bytes. `seen` is told of every
    compilation. patience_s: the most one compilation may take.
    """
    if base.sizes is None:
        raise ValueError("per-function decisions want a base that came through")
    best: dict[str, tuple[int, str]] = {
        name: (size, "") for name, size in base.sizes.of_functions(metric).items()
    }
    for name, tail in tails.items():
        if stopped():
            break
        recipe = replace(
            base.recipe,
            pipeline=f"{base.recipe.pipeline},function({tail})",
            function_tails=(),
        )
        for measured in engine.measure([recipe], stopped=stopped, seconds=patience_s):
            seen(f"tail:{name}", measured)
            if measured.outcome is not Outcome.OK or measured.sizes is None:
                continue
            for function, size in measured.sizes.of_functions(metric).items():
                if function in best and size < best[function][0]:
                    best[function] = (size, tail)
    chosen = tuple(sorted((function, tail) for function, (_, tail) in best.items() if tail))
    return replace(base.recipe, function_tails=chosen) if chosen else None


def toggled(base: Measured) -> Recipe | None:
    """`base` with code generated for every function without `minsize`, or with it where `base` has taken it from all.

    None when `base` has it so already.
    """
    if base.sizes is None or set(base.sizes.functions) <= _decided(base.recipe):
        return None
    added = _WITHOUT in base.recipe.options
    late = tuple((function, _MINSIZE, added) for function in sorted(base.sizes.functions))
    return replace(base.recipe, late_attributes=late)


def of_each(base: Measured, other: Measured, metric: Metric) -> Recipe | None:
    """`other`, a `toggled` base, for those functions that are smaller with it and those that have it in `base`.

    None when that is what one of the two is.
    """
    if base.sizes is None or other.sizes is None:
        return None
    before, after = base.sizes.of_functions(metric), other.sizes.of_functions(metric)
    decided = _decided(base.recipe)
    chosen = decided | {name for name, size in after.items() if size < before.get(name, 0)}
    if chosen == decided or set(after) <= chosen:
        return None
    return replace(
        other.recipe,
        late_attributes=tuple(
            row for row in other.recipe.late_attributes if row[0] in chosen
        ),
    )


def _decided(recipe: Recipe) -> set[str]:
    return {function for function, *_ in recipe.late_attributes}
