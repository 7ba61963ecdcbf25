"""Product mode hands the spec's choices to the local search."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from search.domains.compile.search import product
from search.domains.compile.search.coreset import NAME as CORESET
from search.domains.compile.search.local_search import (
    LocalSearchResult,
    ProductSpace,
    SearchLimits,
)
from search.domains.compile.search.state import SearchState
from search.stop import from_budget
from solvers.llvm.options import unknown_option
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes, Target
from trimtab.specs.compile import CompileSpec, Image, Tier

OZ = Measured(
    recipe=Recipe(pipeline="oz"),
    outcome=Outcome.OK,
    seconds=0.1,
    sizes=Sizes(
        ir_instructions=9, code_bytes=50, loadable_bytes=90, sections={".eh_frame": 40}
    ),
)


@pytest.fixture
def searched(defaults: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run product mode with a stand-in for the local search; return its arguments."""
    calls: list[tuple[ProductSpace, SearchLimits]] = []

    def optimise(engine: object, space: Any, limits: Any, **parts: Any) -> Any:
        calls.append((space, limits))
        return LocalSearchResult(best=OZ, table=(("x", OZ),), candidate=cast("Any", None))

    monkeypatch.setattr(product, "optimise", optimise)

    def search(
        *, evaluations: int | None = None, triple: str = "x86_64-linux-gnu", **spec: Any
    ) -> Any:
        budget = {"seconds": 100.0}
        if evaluations is not None:
            budget["evaluations"] = evaluations
        engine = SimpleNamespace(info=SimpleNamespace(ir_instructions=9))
        state = SearchState(
            problem=cast(
                "Any",
                SimpleNamespace(
                    spec=CompileSpec(source_text="int x;", **spec),
                    metric=Metric.LOADABLE_BYTES,
                    image=spec.get("image"),
                    target=Target(triple=triple),
                ),
            ),
            prepared=cast(
                "Any",
                SimpleNamespace(engine=engine, pipelines=defaults, levels={"Oz": OZ}),
            ),
            oracle=cast("Any", None),
            incumbents=cast("Any", SimpleNamespace(accept=lambda *_: True)),
            stop=from_budget(budget, threading.Event()),
            rng=np.random.default_rng(0),
        )
        return product.search_product(state), *calls.pop()

    return search


def test_the_default_tier_has_default_candidates_alone(searched: Any) -> None:
    _, space, _ = searched()
    assert {c.tier for c in (*space.coreset, *space.changes)} == {Tier.DEFAULT}
    assert len(space.usefulness) == len(space.changes)
    _, wider, _ = searched(tier=Tier.EXPERIMENTAL)
    assert len(wider.changes) > len(space.changes)
    assert set(wider.tails) > set(space.tails)


def test_without_options_no_candidate_has_one(searched: Any) -> None:
    trials, space, _ = searched(llvm_options=False)
    assert not any(c.options for c in (*space.coreset, *space.changes))
    assert space.scores is None
    assert trials.policy == "greedy order of the coreset, its options left out"


def test_without_function_decisions_there_are_no_tails(searched: Any) -> None:
    _, space, limits = searched(per_function=False)
    assert (space.tails, space.minsize) == ({}, False)
    assert not limits.only_tails()


def test_linked_programs_have_fixed_changes_of_their_tier(searched: Any) -> None:
    def names(**spec: Any) -> list[str]:
        return [c.name for c in searched(**spec)[1].additions]

    both = {"image": Image(), "tier": Tier.EXPERIMENTAL}
    assert names() == names(tier=Tier.EXPERIMENTAL) == []
    assert names(image=Image()) == ["merge-functions"]
    assert names(**both) == ["outline-ir", "merge-functions", "outline-code"]
    assert names(**both, llvm_options=False) == ["outline-ir", "merge-functions"]


def test_the_list_of_linked_programs_is_for_the_machine_it_was_mined_on(
    searched: Any,
) -> None:
    own, _, _ = searched(image=Image())
    assert own.policy == "greedy order of the linked programs' coreset"
    other, _, _ = searched(image=Image(), triple="aarch64-linux-gnu")
    assert other.policy != own.policy


@pytest.mark.parametrize("triple", ["thumbv7em-none-eabi", "riscv32-unknown-elf"])
def test_firmware_has_lists_of_its_own(searched: Any, triple: str) -> None:
    trials, space, limits = searched(image=Image(), triple=triple)
    assert "compile-firmware" in trials.weights
    assert space.code_sets
    assert not unknown_option(space.code_sets[0])
    assert len(space.coreset) > limits.max_coreset, "the list for objects comes after"
    assert not searched(image=Image(), triple=triple, per_function=False)[1].code_sets
    assert not searched(image=Image(), triple=triple, llvm_options=False)[1].code_sets
    for other in ("riscv64-unknown-elf", "aarch64-none-elf", "thumbv7em-linux-gnueabi"):
        assert not searched(image=Image(), triple=other)[1].code_sets


def test_few_compilations_are_spent_on_code_generation_where_that_is_better(
    searched: Any,
) -> None:
    riscv, arm = "riscv32-unknown-elf", "thumbv7em-none-eabi"
    _, space, limits = searched(image=Image(), triple=riscv, evaluations=10)
    assert space.code_sets
    assert limits.max_coreset < searched(image=Image(), triple=riscv)[2].max_coreset
    _, space, limits = searched(image=Image(), triple=arm, evaluations=10)
    assert not space.code_sets
    assert limits.max_coreset == searched(image=Image(), triple=riscv)[2].max_coreset


def test_a_budget_of_evaluations_limits_compilations(searched: Any) -> None:
    assert searched(evaluations=7)[2].evaluations == 7
    assert searched()[2].evaluations == 100_000


def test_the_coreset_is_named_with_its_digest(searched: Any) -> None:
    trials, _, _ = searched()
    assert len(trials.weights[CORESET]) == 64
    assert trials.table == (("x", OZ),)
