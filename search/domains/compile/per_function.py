"""Per-function decisions at the cost of whole modules: ELF symbol sizes give every function's bytes from one compilation.

K compilations, each with another function pipeline after the same module pipeline, fill an F × K matrix. After the last
interprocedural pass functions do not see each other, so each may take its own best column; the mixed module is then
measured whole, because alignment and shared constants are not in the symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from solvers.llvm.engine import Engine
from solvers.llvm.types import Measured, Outcome, Recipe


def mixed(
    engine: Engine,
    base: Measured,
    tails: Mapping[str, str],
    *,
    stopped: Callable[[], bool],
    patience_s: float | None = None,
    seen: Callable[[str, Measured], object] = lambda name, measured: None,
) -> Recipe | None:
    """`base` with each function's best tail; None when no tail makes any function smaller. Costs len(tails) compilations.

    base: measured with an object, so that its function sizes are there. `seen` is told of every compilation.
    patience_s: the most one compilation may take.
    """
    if base.sizes is None:
        raise ValueError("per-function decisions want a base that came through")
    best: dict[str, tuple[int, str]] = {name: (size, "") for name, size in base.sizes.functions.items()}
    for name, tail in tails.items():
        if stopped():
            break
        recipe = replace(base.recipe, pipeline=f"{base.recipe.pipeline},function({tail})", function_tails=())
        for measured in engine.measure([recipe], stopped=stopped, seconds=patience_s):
            seen(f"tail:{name}", measured)
            if measured.outcome is not Outcome.OK or measured.sizes is None:
                continue
            for function, size in measured.sizes.functions.items():
                if function in best and size < best[function][0]:
                    best[function] = (size, tail)
    chosen = tuple(sorted((function, tail) for function, (_, tail) in best.items() if tail))
    return replace(base.recipe, function_tails=chosen) if chosen else None
