"""A miscompiled candidate is reduced to the pass, option or function that changes behaviour."""

from __future__ import annotations

import pytest

from search.domains.compile.answer import Quarantined
from search.domains.compile.search.quarantine import (
    find_reproducer,
    minimise_passes,
    prefix,
)
from solvers.llvm.pipeline import leaves, parse, text_of
from solvers.llvm.types import Recipe

PIPELINE = (
    "inferattrs,function(sroa,early-cse),"
    "cgscc(devirt<4>(inline,function<eager-inv>(gvn,instcombine<no-verify-fixpoint>))),globaldce"
)


def never() -> bool:
    return False


@pytest.mark.parametrize(
    "culprit", ["inferattrs", "early-cse", "inline", "gvn", "globaldce"]
)
def test_first_bad_pass_is_found(culprit: str) -> None:
    def differs(recipe: Recipe) -> str | None:
        ran = (
            [leaf.name for leaf in leaves(parse(recipe.pipeline))]
            if recipe.pipeline
            else []
        )
        return "stdout" if culprit in ran else None

    reproducer = find_reproducer(
        Recipe(pipeline=PIPELINE, attributes=(("f", "noinline", True),)),
        differs,
        stopped=never,
    )
    assert reproducer is not None
    assert reproducer.last_pass == culprit
    assert reproducer.bad.attributes == (), "attributes that do not matter are removed"
    assert culprit not in reproducer.good_pipeline
    assert [leaf.name for leaf in leaves(parse(reproducer.bad.pipeline))][-1] == culprit
    assert reproducer.programs_run <= 10


@pytest.mark.parametrize(
    "culprits", [{"early-cse"}, {"inferattrs", "gvn"}, {"sroa", "inline", "globaldce"}]
)
def test_only_passes_that_are_bad_together_remain(culprits: set[str]) -> None:
    builds = 0

    def differs(recipe: Recipe) -> str | None:
        nonlocal builds
        builds += 1
        return (
            "stdout"
            if culprits <= {leaf.name for leaf in leaves(parse(recipe.pipeline))}
            else None
        )

    minimal = minimise_passes(Recipe(pipeline=PIPELINE), differs, stopped=never)
    assert {leaf.name for leaf in leaves(parse(minimal.pipeline))} == culprits
    assert builds <= 25
    assert (
        minimise_passes(Recipe(pipeline=PIPELINE), differs, stopped=lambda: True).pipeline
        == PIPELINE
    )


def test_function_that_matters_is_found() -> None:
    tails = tuple((f"f{i}", "gvn-sink") for i in range(9))

    def differs(recipe: Recipe) -> str | None:
        return "exit code" if ("f5", "gvn-sink") in recipe.function_tails else None

    reproducer = find_reproducer(
        Recipe(pipeline=PIPELINE, function_tails=tails), differs, stopped=never
    )
    assert reproducer is not None
    assert (reproducer.functions, reproducer.last_pass) == (("f5",), "gvn-sink")


@pytest.mark.parametrize("culprit", ["", "gvn"])
def test_option_that_matters_is_found_with_its_pass_or_alone(culprit: str) -> None:
    options = ("-disable-lsr", "-regalloc=basic", "-fast-isel")

    def differs(recipe: Recipe) -> str | None:
        return (
            "stdout"
            if "-regalloc=basic" in recipe.options and culprit in recipe.pipeline
            else None
        )

    reproducer = find_reproducer(
        Recipe(pipeline=PIPELINE, options=options), differs, stopped=never
    )
    assert reproducer is not None
    assert reproducer.confirmed
    assert reproducer.bad.options == ("-regalloc=basic",)
    assert reproducer.last_pass == (culprit or "-regalloc=basic")


def test_no_reproducer_without_a_repeat_or_without_time() -> None:
    assert (
        find_reproducer(Recipe(pipeline=PIPELINE), lambda recipe: None, stopped=never)
        is None
    )
    assert (
        find_reproducer(
            Recipe(pipeline=PIPELINE), lambda recipe: "stdout", stopped=lambda: True
        )
        is None
    )


def test_prefixes_parse_and_grow_by_one_pass() -> None:
    items = parse(PIPELINE)
    names = [leaf.name for leaf in leaves(items)]
    for count in range(1, len(names) + 1):
        assert [
            leaf.name for leaf in leaves(parse(text_of(prefix(items, count))))
        ] == names[:count]
    assert prefix(items, 0) == ()
    assert text_of(prefix(items, len(names))) == PIPELINE


def test_json_has_build_pass_and_recipe() -> None:
    reproducer = find_reproducer(
        Recipe(pipeline="sroa,gvn"),
        lambda recipe: "x" if "gvn" in recipe.pipeline else None,
        stopped=never,
    )
    data = Quarantined(
        build_id="llvm-22",
        name="c",
        recipe=Recipe(pipeline="sroa,gvn"),
        objective=1.0,
        why="x",
        reproducer=reproducer,
    ).as_json()
    assert data["reproducer"]["last_pass"] == "gvn"
    assert Recipe.from_json(data["reproducer"]["bad"]).pipeline == "sroa,gvn"
