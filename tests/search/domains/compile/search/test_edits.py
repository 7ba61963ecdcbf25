"""Edits, the candidate space, and the coreset's greedy, each against what is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from search.domains.compile.search.candidates import candidate_space, function_tails
from search.domains.compile.search.coreset import greedy, load_coreset, without_options
from search.domains.compile.search.edits import Candidate, Edit, Op
from solvers.llvm.engine import Engine
from solvers.llvm.options import options_for
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Metric
from trimtab.specs.compile import Tier

OZ = {"Oz": "globalopt,function(sroa<modify-cfg>,gvn<>,simplifycfg<keep-loops>,gvn<>)"}


@pytest.fixture(scope="module")
def defaults() -> dict[str, str]:
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        return engine.default_pipelines()


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (
            Edit(op=Op.DROP, anchor="gvn"),
            "globalopt,function(sroa<modify-cfg>,simplifycfg<keep-loops>)",
        ),
        (
            Edit(op=Op.DROP, anchor="gvn", occurrence=1),
            "globalopt,function(sroa<modify-cfg>,gvn<>,simplifycfg<keep-loops>)",
        ),
        (
            Edit(op=Op.SET, anchor="simplifycfg", text="no-keep-loops"),
            "globalopt,function(sroa<modify-cfg>,gvn<>,simplifycfg<no-keep-loops>,gvn<>)",
        ),
        (
            Edit(op=Op.AFTER, anchor="sroa", text="sink,adce"),
            "globalopt,function(sroa<modify-cfg>,sink,adce,gvn<>,simplifycfg<keep-loops>,gvn<>)",
        ),
        (
            Edit(op=Op.BEFORE, anchor="gvn", occurrence=0, text="sink"),
            "globalopt,function(sroa<modify-cfg>,sink,gvn<>,simplifycfg<keep-loops>,gvn<>)",
        ),
        (Edit(op=Op.APPEND, text="constmerge"), f"{OZ['Oz']},constmerge"),
        (Edit(op=Op.PREPEND, text="constmerge"), f"constmerge,{OZ['Oz']}"),
    ],
)
def test_an_edit_changes_its_place_only(edit: Edit, text: str) -> None:
    candidate = Candidate(name="x", edits=(edit,))
    assert candidate.pipeline(OZ) == text
    assert Candidate.from_json(candidate.as_json()) == candidate


def test_an_edit_without_a_place_is_told() -> None:
    with pytest.raises(BadPipeline, match="licm"):
        Candidate(name="x", edits=(Edit(op=Op.DROP, anchor="licm"),)).pipeline(OZ)
    with pytest.raises(ValueError, match="anchor"):
        Edit(op=Op.DROP)
    with pytest.raises(ValueError, match="base"):
        Candidate(name="x", base="O9")


def test_the_name_does_not_count_and_joining_keeps_each_edit_once() -> None:
    one = Candidate(name="a", edits=(Edit(op=Op.DROP, anchor="gvn"),))
    assert one.digest == Candidate(name="b", edits=one.edits).digest
    both = one.joined(
        Candidate(
            name="c",
            edits=(*one.edits, Edit(op=Op.APPEND, text="newgvn")),
            tier=Tier.EXPERIMENTAL,
        )
    )
    assert len(both.edits) == 2
    assert both.tier is Tier.EXPERIMENTAL


def test_llvm_reads_every_candidate(defaults: dict[str, str]) -> None:
    space = candidate_space(defaults)
    assert len(space) > 100
    assert len({candidate.digest for candidate in space}) > 0.9 * len(space)
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        said = engine.check([candidate.pipeline(defaults) for candidate in space])
        tails = function_tails(defaults, experimental=True)
        said += engine.check([f"function({tail})" for tail in tails.values()])
    assert [why for why in said if why is not None] == []


def test_the_default_tier_has_only_passes_of_llvms_own_pipelines(
    defaults: dict[str, str],
) -> None:
    tiers = {candidate.name: candidate.tier for candidate in candidate_space(defaults)}
    assert tiers["drop-jump-threading"] is Tier.DEFAULT
    assert tiers["tail:gvn-shrink"] is Tier.DEFAULT
    assert tiers["newgvn-for-gvn"] is Tier.EXPERIMENTAL
    assert tiers["tail:iroutliner"] is Tier.EXPERIMENTAL
    assert "newgvn" not in function_tails(defaults, experimental=False)


def test_of_two_values_of_an_option_the_last_counts() -> None:
    words = ("-inline-threshold=0", "-disable-lsr", "-inline-threshold=15")
    candidate = Candidate(
        name="x", edits=tuple(Edit(op=Op.OPTION, text=word) for word in words)
    )
    assert candidate.recipe(OZ).options == ("-disable-lsr", "-inline-threshold=15")
    assert candidate.recipe(OZ).pipeline == OZ["Oz"]
    assert Candidate.from_json(candidate.as_json()) == candidate


def test_without_options_the_changes_of_passes_stay() -> None:
    option, drop = Edit(op=Op.OPTION, text="-disable-lsr"), Edit(op=Op.DROP, anchor="gvn")
    one, both, other = (
        Candidate(name="x", edits=edits) for edits in ((option,), (option, drop), (drop,))
    )
    assert [c.edits for c in without_options([one, both, other])] == [(drop,)]


def test_only_the_allowed_options_are_in_the_space(defaults: dict[str, str]) -> None:
    everything, passes = candidate_space(defaults), candidate_space(defaults, options=())
    assert {word for c in everything for word in c.options} == options_for(
        Metric.LOADABLE_BYTES
    )
    assert [c for c in everything if not c.options] == list(passes)


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


def test_the_published_coreset_is_read_and_has_its_places(defaults: dict[str, str]) -> None:
    coreset = load_coreset()
    assert len(coreset) >= 10
    assert all(candidate.tier is Tier.DEFAULT for candidate in coreset)
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        assert engine.check([c.pipeline(defaults) for c in coreset]) == [None] * len(
            coreset
        )
