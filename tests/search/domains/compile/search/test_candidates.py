"""Space of product mode: LLVM parses every candidate, and tiers and options hold."""

from __future__ import annotations

from search.domains.compile.search.candidates import (
    candidate_space,
    changes_of_oz,
    function_tails,
    passes_of,
)
from solvers.llvm.engine import Engine
from solvers.llvm.options import options_for
from solvers.llvm.types import Metric
from trimtab.specs.compile import Tier


def test_llvm_parses_every_candidate(defaults: dict[str, str]) -> None:
    space = candidate_space(defaults)
    assert len(space) > 100
    assert len({candidate.digest for candidate in space}) > 0.9 * len(space)
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        errors = engine.check([candidate.pipeline(defaults) for candidate in space])
        tails = function_tails(defaults, experimental=True)
        errors += engine.check([f"function({tail})" for tail in tails.values()])
    assert [error for error in errors if error is not None] == []


def test_the_default_tier_has_only_passes_of_llvms_own_pipelines(
    defaults: dict[str, str],
) -> None:
    tiers = {candidate.name: candidate.tier for candidate in candidate_space(defaults)}
    assert tiers["drop-jump-threading"] is Tier.DEFAULT
    assert tiers["tail:gvn-shrink"] is Tier.DEFAULT
    assert tiers["newgvn-for-gvn"] is Tier.EXPERIMENTAL
    assert tiers["tail:iroutliner"] is Tier.EXPERIMENTAL
    assert "newgvn" not in function_tails(defaults, experimental=False)


def test_only_the_allowed_options_are_in_the_space(defaults: dict[str, str]) -> None:
    everything, passes = candidate_space(defaults), candidate_space(defaults, options=())
    assert {word for c in everything for word in c.options} == options_for(
        Metric.LOADABLE_BYTES
    )
    assert [c for c in everything if not c.options] == list(passes)


def test_compounds_are_made_of_changes_of_oz_in_the_default_tier(
    defaults: dict[str, str],
) -> None:
    changes = changes_of_oz(defaults, Metric.IR_INSTRUCTIONS)
    assert {(change.base, change.tier) for change in changes} == {("Oz", Tier.DEFAULT)}
    assert {word for change in changes for word in change.options} == options_for(
        Metric.IR_INSTRUCTIONS
    )


def test_passes_are_those_of_all_default_pipelines() -> None:
    assert passes_of({"O1": "function(sroa)", "Oz": "function(gvn<>),globaldce"}) == {
        "sroa",
        "gvn",
        "globaldce",
    }
