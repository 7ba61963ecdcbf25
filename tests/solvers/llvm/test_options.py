"""LLVM options in a recipe: all are accepted, and each affects its own candidate only."""

from __future__ import annotations

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.options import (
    EXPERIMENTAL,
    KNOWN,
    OF_CODE_GENERATION,
    OF_PASSES,
    options_for,
    unknown_option,
)
from solvers.llvm.types import Metric, Outcome, Recipe
from tests.solvers.llvm.modules import PROGRAM

OZ = "default<Oz>"


@pytest.fixture(scope="module")
def engine():
    with Engine(PROGRAM) as made:
        yield made


def test_llvm_takes_every_option_of_the_list(engine: Engine) -> None:
    recipes = [Recipe(pipeline=OZ, options=(option,)) for option in sorted(KNOWN)]
    results = engine.measure(recipes)
    refused = [
        (m.recipe.options, m.detail) for m in results if m.outcome is not Outcome.OK
    ]
    assert refused == []


def test_options_of_code_generation_leave_the_ir_alone(engine: Engine) -> None:
    plain, *others = engine.measure(
        [
            Recipe(pipeline=OZ),
            *(Recipe(pipeline=OZ, options=(w,)) for w in OF_CODE_GENERATION),
        ]
    )
    assert {m.ir_sha256 for m in others} == {plain.ir_sha256}
    assert len({m.program for m in (plain, *others)}) == 1 + len(OF_CODE_GENERATION), (
        "their machine code may differ"
    )


def test_an_option_ends_with_its_candidate(engine: Engine) -> None:
    without = Recipe(pipeline="default<O2>")
    never_inlined = Recipe(
        pipeline="default<O2>", options=("-inline-threshold=0", "-regalloc=basic")
    )
    before, changed, after = engine.measure([without, never_inlined, without])
    assert changed.sizes != before.sizes
    assert (after.sizes, after.ir_sha256) == (before.sizes, before.ir_sha256)
    assert engine.build(never_inlined).measured.sizes == changed.sizes


def test_a_metric_of_ir_gets_the_options_of_passes() -> None:
    assert options_for(Metric.IR_INSTRUCTIONS) == set(OF_PASSES)
    assert options_for(Metric.LOADABLE_BYTES) == set(OF_PASSES) | set(
        OF_CODE_GENERATION
    ) | set(EXPERIMENTAL)


def test_unknown_and_repeated_options_are_named() -> None:
    assert unknown_option(sorted(KNOWN & {"-disable-lsr", "-disable-lftr"})) is None
    assert "got '-o=x'" in str(unknown_option(["-disable-lsr", "-o=x"]))
    assert "got it twice" in str(
        unknown_option(["-inline-threshold=0", "-inline-threshold=15"])
    )
