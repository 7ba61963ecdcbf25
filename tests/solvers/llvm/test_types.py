"""Data of the engine: recipes as JSON, target words, sizes by metric."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes, Target

RECIPE = Recipe(
    pipeline="default<Oz>",
    function_tails=(("f", "gvn"),),
    attributes=(("g", "noinline", True),),
    late_attributes=(("h", "minsize", False),),
    options=("-inline-threshold=0",),
)


def test_a_recipe_survives_json() -> None:
    again = Recipe.from_json(json.loads(json.dumps(RECIPE.as_json())))
    assert again == RECIPE
    assert again.digest == RECIPE.digest
    assert replace(RECIPE, options=()).digest != RECIPE.digest


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, KeyError),
        ({"pipeline": "a", "options": "-x"}, TypeError),
        ({"pipeline": "a", "function_tails": [["f"]]}, ValueError),
    ],
)
def test_other_json_is_refused(data: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        Recipe.from_json(data)


def test_opt_can_run_pipelines_and_late_attributes_only() -> None:
    plain = Recipe(pipeline="default<Oz>")
    assert plain.by_opt
    assert replace(plain, late_attributes=(("h", "minsize", False),)).by_opt
    assert not replace(plain, late_attributes=(("a,b", "minsize", False),)).by_opt
    assert not replace(plain, function_tails=(("f", "gvn"),)).by_opt
    assert not replace(plain, attributes=(("g", "noinline", True),)).by_opt


def test_target_words() -> None:
    assert Target().words == ("-relocation-model=pic",)
    target = Target(
        cpu="x86-64-v3", features="+aes", pic=False, codegen=("-float-abi=hard",)
    )
    assert target.words == (
        "-relocation-model=static",
        "-mcpu=x86-64-v3",
        "-mattr=+aes",
        "-float-abi=hard",
    )


def test_unwind_entries_count_as_loadable_bytes_not_as_code() -> None:
    sizes = Sizes(
        ir_instructions=3,
        code_bytes=10,
        loadable_bytes=34,
        functions={"f": 8, "g": 2},
        unwind={"f": 24},
    )
    assert [sizes.of(metric) for metric in Metric] == [34, 10, 3, 0]
    assert sizes.of_functions(Metric.CODE_BYTES) == {"f": 8, "g": 2}
    assert sizes.of_functions(Metric.LOADABLE_BYTES) == {"f": 32, "g": 2}


def test_equal_bitcode_with_other_options_is_another_program() -> None:
    one = Measured(recipe=RECIPE, outcome=Outcome.OK, seconds=0.1, ir_sha256="aa")
    other = replace(one, recipe=replace(RECIPE, options=()))
    assert one.program != other.program
    assert one.program == replace(one, recipe=replace(RECIPE, attributes=())).program
