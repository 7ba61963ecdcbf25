"""Coreset: greedy facility location, and the published lists."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.coreset import (
    LISTS,
    greedy,
    list_for,
    load_coreset,
    usefulness,
    without_options,
)
from search.domains.compile.search.edits import Candidate, Edit, Op
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Metric, Recipe, Target
from trimtab.specs.compile import Tier


@pytest.mark.parametrize(
    ("flags", "listed"),
    [
        ((), Metric.LOADABLE_BYTES),
        (("-fno-asynchronous-unwind-tables",), Metric.CODE_BYTES),
    ],
)
def test_without_unwind_tables_the_list_is_that_of_code_bytes(
    flags: tuple[str, ...], listed: Metric, tmp_path: Path
) -> None:
    source = tmp_path / "a.c"
    source.write_text(
        "int f(int *p, int n) { int s = 0; while (n--) s += p[n]; return s; }\n"
    )
    (module,) = compile_to_bitcode(
        [source], workdir=tmp_path / "work", target=Target(), flags=flags
    )
    with Engine(module) as engine:
        (oz,) = engine.measure([Recipe(pipeline=engine.default_pipelines()["Oz"])])
    assert oz.sizes is not None
    assert list_for(Metric.LOADABLE_BYTES, oz.sizes) is listed
    assert list_for(Metric.IR_INSTRUCTIONS, oz.sizes) is Metric.IR_INSTRUCTIONS


def test_every_metric_has_a_list_of_its_own() -> None:
    lists = [load_coreset(metric) for metric in LISTS]
    assert {*LISTS, Metric.IMAGE_BYTES} == set(Metric), (
        "linked programs use that of objects"
    )
    assert all(len(listed) == 24 for listed in lists)
    assert len({listed[0].digest for listed in lists}) == len(LISTS), (
        "each begins with a pipeline of its own"
    )


def test_without_options_the_changes_of_passes_stay() -> None:
    option, drop = Edit(op=Op.OPTION, text="-disable-lsr"), Edit(op=Op.DROP, anchor="gvn")
    one, both, other = (
        Candidate(name="x", edits=edits) for edits in ((option,), (option, drop), (drop,))
    )
    assert [c.edits for c in without_options([one, both, other])] == [(drop,)]


def test_greedy_is_plain_greedy_and_near_the_best() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        reward = rng.random((12, 9)) ** 3
        weights = rng.random(12)
        chosen = greedy(reward, 3, weights)
        covered, plain = np.zeros(12), []
        for _ in range(3):
            gains = [
                float(weights @ np.maximum(0, reward[:, j] - covered)) for j in range(9)
            ]
            plain.append(int(np.argmax(gains)))
            covered = np.maximum(covered, reward[:, plain[-1]])
        assert chosen == plain
        best = max(
            float(weights @ reward[:, list(s)].max(axis=1))
            for s in itertools.combinations(range(9), 3)
        )
        assert float(weights @ covered) >= (1 - 1 / np.e) * best
    assert greedy(np.zeros((3, 2)), 2) == []
    with pytest.raises(ValueError, match="reward"):
        greedy(np.array([[-1.0]]), 1)


def test_llvm_parses_the_published_coreset(defaults: dict[str, str]) -> None:
    coreset = load_coreset()
    assert len(coreset) >= 10
    assert all(candidate.tier is Tier.DEFAULT for candidate in coreset)
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        assert engine.check([c.pipeline(defaults) for c in coreset]) == [None] * len(
            coreset
        )


def test_changes_are_drawn_by_how_often_they_helped(defaults: dict[str, str]) -> None:
    space = candidate_space(defaults)
    counts = usefulness(space)
    assert counts.shape == (len(space),)
    assert counts.min() == 1.0, "changes that never helped keep a chance"
    assert counts.max() > 1.0
    np.testing.assert_array_equal(usefulness(space, Metric.CODE_BYTES), counts)
