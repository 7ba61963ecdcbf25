"""Decisions for single functions at the cost of compiling whole modules.

One compilation gives the bytes of every function. After the last interprocedural pass functions are
independent, so each may take its own best tail: K compilations, each with another function pipeline
at the end, fill an F × K matrix of sizes. One more, without `minsize`, shows which functions are
smaller without it. The mixed module is then measured as a whole, because alignment and shared
constants belong to no function.

The bytes of a function are those of its symbol and of its entry in .eh_frame: what `minsize`
saves in code on x86 (push and pop for constants) it may lose there, because each push is
described.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from solvers.llvm.engine import Engine
from solvers.llvm.options import code_generation
from solvers.llvm.types import Measured, Metric, Outcome, Recipe

_MINSIZE = "minsize"
FRAME_POINTER = "frame-pointer=non-leaf"
_WITHOUT_MINSIZE = f"-force-remove-attribute={_MINSIZE}"  # option for all functions

OnMeasured = Callable[[str, Measured], object]


def best_tails(
    engine: Engine,
    base: Measured,
    tails: Mapping[str, str],
    metric: Metric = Metric.LOADABLE_BYTES,
    *,
    stopped: Callable[[], bool],
    compile_limit_s: float | None = None,
    on_measured: OnMeasured = lambda name, measured: None,
) -> Recipe | None:
    """Return `base` with the best tail of each function, for len(tails) compilations.

    None when no tail makes any function smaller. `base` is measured with an object; `metric` counts
    bytes; `compile_limit_s` bounds one compilation. Raises ValueError when `base` failed.
    """
    if base.sizes is None:
        raise ValueError(
            f"base: expected a recipe that compiled, got outcome {base.outcome.value}"
        )
    best: dict[str, tuple[int, str]] = {
        name: (size, "") for name, size in base.sizes.of_functions(metric).items()
    }
    for name, tail in tails.items():
        if stopped():
            break
        pipeline = f"{base.recipe.pipeline},function({tail})"
        recipe = replace(base.recipe, pipeline=pipeline, function_tails=())
        for measured in engine.measure(
            [recipe], stopped=stopped, seconds=compile_limit_s
        ):
            on_measured(f"tail:{name}", measured)
            if measured.outcome is not Outcome.OK or measured.sizes is None:
                continue
            for function, size in measured.sizes.of_functions(metric).items():
                if function in best and size < best[function][0]:
                    best[function] = (size, tail)
    chosen = tuple(
        sorted((function, tail) for function, (_, tail) in best.items() if tail)
    )
    return replace(base.recipe, function_tails=chosen) if chosen else None


def toggle_minsize(base: Measured) -> Recipe | None:
    """Return `base` with code generated without `minsize` for all functions.

    With `minsize`, where the options of `base` have removed it from all. None when every
    function of `base` is decided already.
    """
    if base.sizes is None or set(base.sizes.functions) <= _decided(base.recipe, _MINSIZE):
        return None
    added = _WITHOUT_MINSIZE in base.recipe.options
    late = tuple((function, _MINSIZE, added) for function in sorted(base.sizes.functions))
    return replace(base.recipe, late_attributes=late)


def with_frame_pointers(base: Measured) -> Recipe | None:
    """Return `base` with frame pointers in all functions that call; None when `base` has some.

    A frame pointer costs five bytes of code. It takes the changes of the stack pointer out of
    .eh_frame, three bytes for each push, and makes accesses to the stack a byte shorter.
    """
    if base.sizes is None or _decided(base.recipe, FRAME_POINTER):
        return None
    late = ((function, FRAME_POINTER, True) for function in sorted(base.sizes.functions))
    return replace(base.recipe, late_attributes=(*base.recipe.late_attributes, *late))


def smaller_functions(
    base: Measured, toggled: Measured, metric: Metric, word: str = _MINSIZE
) -> Recipe | None:
    """Keep the toggled attribute on functions that it makes smaller, or that `base` decided.

    None when the result is `base` or `toggled` itself.
    """
    if base.sizes is None or toggled.sizes is None:
        return None
    before = base.sizes.of_functions(metric)
    after = toggled.sizes.of_functions(metric)
    decided = _decided(base.recipe, word)
    chosen = decided | {
        name for name, size in after.items() if size < before.get(name, 0)
    }
    if chosen == decided or set(after) <= chosen:
        return None
    late = tuple(
        row
        for row in toggled.recipe.late_attributes
        if row[1] != word or row[0] in chosen
    )
    return replace(toggled.recipe, late_attributes=late)


def mixed(base: Measured, others: Sequence[Measured], metric: Metric) -> Recipe | None:
    """Return `base` with each function generated as in the program where it is smallest.

    others: `base` with other options of the code generator, or late attributes. None when no
    function is smaller in any.
    """
    assert base.sizes is not None
    sizes = base.sizes.of_functions(metric)
    chosen = dict.fromkeys(sizes, base)
    for other in others:
        if other.sizes is None:
            continue
        for name, size in other.sizes.of_functions(metric).items():
            if size < sizes.get(name, 0):
                sizes[name], chosen[name] = size, other
    if all(one is base for one in chosen.values()):
        return None
    late = [row for row in base.recipe.late_attributes if row[0] not in chosen]
    own = []
    for name, one in sorted(chosen.items()):
        late += [row for row in one.recipe.late_attributes if row[0] == name]
        words = code_generation(one.recipe.options)
        if words != code_generation(base.recipe.options):
            own.append((name, words))
    return replace(base.recipe, late_attributes=tuple(late), function_options=tuple(own))


def _decided(recipe: Recipe, word: str) -> set[str]:
    return {function for function, own, _ in recipe.late_attributes if own == word}
