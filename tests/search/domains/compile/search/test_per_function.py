"""Per-function decisions from whole compilations."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.compile.search.per_function import (
    best_tails,
    mixed,
    smaller_functions,
    toggle_minsize,
)
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes, Target
from tests.search.domains.compile.search.test_local_search import SOURCE


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("module")
    (folder / "a.c").write_text(SOURCE)
    return compile_to_bitcode([folder / "a.c"], workdir=folder, target=Target())[0]


def measured(recipe: Recipe, **functions: int) -> Measured:
    sizes = Sizes(ir_instructions=9, functions=functions)
    return Measured(recipe=recipe, outcome=Outcome.OK, seconds=0.0, sizes=sizes)


def test_each_function_gets_its_own_best_tail(module: bytes) -> None:
    tails = {
        "nothing": "instsimplify",
        "unroll": "loop-unroll<O3>,simplifycfg",
        "shrink": "simplifycfg<sink-common-insts>,sink",
    }
    with Engine(module) as engine:
        (bad,) = engine.measure([Recipe(pipeline="function(mem2reg)")])
        recipe = best_tails(engine, bad, tails, stopped=lambda: False)
        assert recipe is not None
        assert {name for name, _ in recipe.function_tails} <= set(engine.info.functions)
        (result,) = engine.measure([recipe])
    assert result.outcome is Outcome.OK
    assert result.sizes is not None
    assert bad.sizes is not None
    assert sum(result.sizes.functions.values()) < sum(bad.sizes.functions.values())


def test_a_base_that_failed_is_refused() -> None:
    failed = Measured(recipe=Recipe(pipeline=""), outcome=Outcome.CRASHED, seconds=0.0)
    with pytest.raises(ValueError, match="got outcome crashed"):
        best_tails(None, failed, {}, stopped=lambda: False)  # type: ignore[arg-type]


def test_minsize_is_toggled_back_where_options_removed_it() -> None:
    base = Recipe(pipeline="p")
    assert toggle_minsize(measured(base, f=3, g=4)) == Recipe(
        pipeline="p", late_attributes=(("f", "minsize", False), ("g", "minsize", False))
    )
    without = Recipe(pipeline="p", options=("-force-remove-attribute=minsize",))
    toggled = toggle_minsize(measured(without, f=3))
    assert toggled is not None
    assert toggled.late_attributes == (("f", "minsize", True),)
    assert toggle_minsize(measured(toggled, f=3)) is None, "every function is decided"


def test_the_toggle_stays_on_smaller_functions_alone() -> None:
    base = measured(Recipe(pipeline="p"), f=3, g=4)
    recipe = toggle_minsize(base)
    assert recipe is not None
    mixed = smaller_functions(base, measured(recipe, f=2, g=5), Metric.CODE_BYTES)
    assert mixed is not None
    assert mixed.late_attributes == (("f", "minsize", False),)
    for all_or_none in ({"f": 2, "g": 3}, {"f": 3, "g": 4}):
        other = measured(recipe, **all_or_none)
        assert smaller_functions(base, other, Metric.CODE_BYTES) is None


def test_each_function_is_generated_as_where_it_was_smallest() -> None:
    base = measured(
        Recipe(pipeline="p", options=("-disable-lsr", "-replexitval=never")),
        f=9,
        g=9,
        h=9,
    )
    plain = measured(
        Recipe(pipeline="p", options=("-replexitval=never",)), f=8, g=10, h=9
    )
    late = (("f", "minsize", False), ("g", "minsize", False), ("h", "minsize", False))
    toggled = measured(
        Recipe(pipeline="p", options=base.recipe.options, late_attributes=late),
        f=9,
        g=7,
        h=9,
    )
    failed = Measured(recipe=Recipe(pipeline="p"), outcome=Outcome.CRASHED, seconds=0.0)
    recipe = mixed(base, [plain, failed, toggled], Metric.CODE_BYTES)
    assert recipe is not None
    assert recipe.options == base.recipe.options
    assert recipe.function_options == (("f", ()),)
    assert recipe.late_attributes == (("g", "minsize", False),)
    assert mixed(base, [failed], Metric.CODE_BYTES) is None
    back = mixed(toggled, [base], Metric.CODE_BYTES)
    assert back is None, "where nothing is smaller, everything stays"
