"""The search of product mode on a small real program."""
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.compile.search.candidates import TAILS, candidate_space, function_tails
from search.domains.compile.search.edits import Candidate, Edit, Op
from search.domains.compile.search.local_search import Found, OnBetter, optimise
from search.domains.compile.search.per_function import mixed
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Target
from tests.solvers.llvm.modules import UNWOUND
from trimtab.specs.compile import Tier

SOURCE = r"""
static unsigned step(unsigned h, unsigned c) { h ^= c; for (int i = 0; i < 8; i++) h = h & 1 ? h >> 1 ^ 0xedb88320u : h >> 1; return h; }
unsigned crc(const unsigned char *p, unsigned n) { unsigned h = ~0u; while (n--) h = step(h, *p++); return ~h; }
int kind(const char *s) {
  int digits = 0, letters = 0, other = 0;
  for (; *s; s++) {
    if (*s >= '0' && *s <= '9') digits++;
    else if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')) letters++;
    else switch (*s) { case ' ': case '\t': break; case '_': letters++; break; case '-': digits += letters == 0; break; default: other++; }
  }
  if (other) return 3;
  if (digits && letters) return 2;
  return letters ? 1 : 0;
}
void sort(int *a, int n) { for (int i = 1; i < n; i++) { int v = a[i], j = i; while (j > 0 && a[j - 1] > v) { a[j] = a[j - 1]; j--; } a[j] = v; } }
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("module")
    (folder / "a.c").write_text(SOURCE)
    return compile_to_bitcode([folder / "a.c"], workdir=folder, target=Target())[0]


def searched(
    module: bytes,
    *,
    budget: int,
    on_better: OnBetter = lambda name, measured: True,
    seed: int = 1,
    start: str = "",
    **more: Any,
) -> Found:
    with Engine(module) as engine:
        defaults = engine.default_pipelines()
        (baseline,) = engine.measure([Recipe(pipeline=start or defaults["Oz"])])
        space = [c for c in candidate_space(defaults) if c.tier is Tier.DEFAULT]
        return optimise(
            engine,
            baseline=baseline,
            defaults=defaults,
            **(
                {
                    "metric": Metric.LOADABLE_BYTES,
                    "candidates": space[:5],
                    "space": space,
                    "tails": function_tails(defaults, experimental=False),
                }
                | more
            ),
            budget=budget,
            rng=np.random.default_rng(seed),
            on_better=on_better,
            stopped=lambda: False,
        )


def size(measured: Measured) -> int:
    assert measured.sizes is not None
    return measured.sizes.loadable_bytes


def test_it_gets_smaller_within_its_budget_and_never_larger(module: bytes) -> None:
    offered: list[int] = []

    def accept(name: str, measured: Measured) -> bool:
        offered.append(size(measured))
        return True

    found = searched(module, budget=50, on_better=accept, start="function(mem2reg)")
    with Engine(module) as engine:
        (start,) = engine.measure([Recipe(pipeline="function(mem2reg)")])
        (again,) = engine.measure([found.best.recipe])
    assert size(found.best) < size(start)
    assert size(again) == size(found.best), "the recipe repeats it"
    assert len(found.table) <= 50
    assert offered == sorted(offered, reverse=True)
    assert offered[-1] == size(found.best)
    moves = [
        measured.recipe.digest
        for name, measured in found.table
        if not name.startswith("tail:")
    ]
    assert len(set(moves)) == len(moves), "nothing is tried twice"


def test_the_same_seed_gives_the_same_search(module: bytes) -> None:
    one, two = (searched(module, budget=25) for _ in range(2))
    assert [m.recipe for _, m in one.table[:5]] == [m.recipe for _, m in two.table[:5]]
    assert one.best.sizes is not None


def test_a_dry_stretch_ends_it(module: bytes) -> None:
    found = searched(
        module,
        budget=5000,
        stale=12,
        tails={},
        on_better=lambda name, measured: False,
        inlining=False,
    )
    assert 12 <= len(found.table) <= 12 + 5 + 2, (
        "five candidates of the coreset, two for minsize, then twelve"
    )


def test_late_leaves_the_rest_to_the_tails(module: bytes) -> None:
    found = searched(module, budget=400, late=lambda: True)
    names = [name for name, _ in found.table]
    assert len([name for name in names if name.startswith("tail:")]) >= 3
    assert len(names) <= 5 + len(TAILS) + 1


def test_only_the_first_of_the_coreset_and_then_useful_changes(module: bytes) -> None:
    with Engine(module) as engine:
        space = [
            c for c in candidate_space(engine.default_pipelines()) if c.tier is Tier.DEFAULT
        ]
    useful = np.full(len(space), 1e-12)
    chosen = next(i for i, c in enumerate(space) if c.name == "drop-indvars")
    useful[chosen] = 1.0
    scores = -np.arange(5, dtype=float)
    found = searched(
        module,
        budget=8,
        first=2,
        usefulness=useful,
        scores=scores,
        tails={},
        inlining=False,
        per_function=False,
    )
    names = [name for name, _ in found.table]
    assert names[:2] == [space[0].name, space[1].name]
    assert space[2].name not in names
    assert any("drop-indvars" in name for name in names[2:4])


def test_what_is_refused_does_not_count(module: bytes) -> None:
    found = searched(module, budget=20, on_better=lambda name, measured: False)
    with Engine(module) as engine:
        (oz,) = engine.measure([Recipe(pipeline=engine.default_pipeline("Oz"))])
    assert found.best.ir_sha256 == oz.ir_sha256


def test_minsize_is_taken_from_the_functions_that_are_smaller_without_it() -> None:
    both = UNWOUND.replace(
        b"ret i32 %b", b"%c = sdiv i32 %b, 7\n  ret i32 %c"
    )  # minsize divides by idiv, which is shorter
    found = searched(both, budget=2, first=0, space=(), tails={}, inlining=False)
    assert found.best.recipe.late_attributes == (("calls", "minsize", False),)
    assert [name for name, _ in found.table] == ["Oz+minsize", "Oz+minsize"]
    (_, whole), (_, chosen) = found.table
    assert chosen.sizes.loadable_bytes < min(
        whole.sizes.loadable_bytes, searched(both, budget=0).best.sizes.loadable_bytes
    )
    code = searched(
        both,
        budget=2,
        first=0,
        space=(),
        tails={},
        inlining=False,
        metric=Metric.CODE_BYTES,
    )
    assert code.best.recipe.late_attributes == (), "of code alone, pushes are shorter"
    assert (
        searched(
            both, budget=2, first=0, space=(), tails={}, inlining=False, per_function=False
        ).table
        == ()
    )


def test_minsize_is_given_back_where_the_pipeline_took_it() -> None:
    both = UNWOUND.replace(b"ret i32 %b", b"%c = sdiv i32 %b, 7\n  ret i32 %c")
    without = Candidate(
        name="without", edits=(Edit(op=Op.OPTION, text="-force-remove-attribute=minsize"),)
    )
    found = searched(
        both, budget=3, candidates=[without], space=(), tails={}, inlining=False
    )
    assert found.best.recipe.options == ("-force-remove-attribute=minsize",)
    assert found.best.recipe.late_attributes == (("small", "minsize", True),)


def test_each_function_gets_its_own_best_tail(module: bytes) -> None:
    tails = {
        "nothing": "instsimplify",
        "unroll": "loop-unroll<O3>,simplifycfg",
        "shrink": "simplifycfg<sink-common-insts>,sink",
    }
    with Engine(module) as engine:
        (bad,) = engine.measure([Recipe(pipeline="function(mem2reg)")])
        recipe = mixed(engine, bad, tails, stopped=lambda: False)
        assert recipe is not None
        assert {name for name, _ in recipe.function_tails} <= set(engine.info.functions)
        (result,) = engine.measure([recipe])
    assert result.outcome is Outcome.OK
    assert result.sizes is not None
    assert bad.sizes is not None
    assert sum(result.sizes.functions.values()) < sum(bad.sizes.functions.values())
