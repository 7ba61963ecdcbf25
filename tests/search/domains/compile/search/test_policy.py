"""Learned order of the coreset: published networks fit the coreset, and are optional.

A network is trained here on random rewards: none is published where none beats the coreset's own
order.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from cost_models.compile.pipeline_order import PARTS as PARTS_OF_NET
from cost_models.weights import FOLDER, manifest
from cost_models.weights.publish import publish, withdraw
from search.domains.compile.search import policy
from search.domains.compile.search.coreset import LISTS, load_coreset
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.features import AUTOPHASE_NAMES, INST_COUNT_NAMES, Features
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes, Target
from workers.train.compile import policy as training

OZ = Sizes(
    ir_instructions=60,
    code_bytes=300,
    loadable_bytes=400,
    sections={".text": 300, ".rodata.str": 40},
)
PARTS = (
    "int kind(int c) { switch (c) { case 1: return 7; case 2: return 9; case 40: return c * 3; "
    "default: return -c; } }",
    "unsigned sum(const unsigned *p, int n) { unsigned s = 0; for (int i = 0; i < n; i++) s += "
    "p[i] * 3u; return s; }",
    "char *put(char *to, const char *from) { while ((*to++ = *from++)) {} return to; }",
)


def features(seed: int = 0, *, native: bool = True) -> Features:
    rng = np.random.default_rng(seed)
    autophase, inst_count = (
        rng.integers(1, 90, len(names)) for names in (AUTOPHASE_NAMES, INST_COUNT_NAMES)
    )
    return Features(autophase=autophase, inst_count=inst_count, native=native)


class Program:
    """Stand-in for an engine."""

    def __init__(self, features: Features | Exception, instructions: int = 90) -> None:
        self.info = SimpleNamespace(ir_instructions=instructions)
        self._features = features

    def features(self) -> Features:
        """Stand in for Engine.features."""
        if isinstance(self._features, Exception):
            raise self._features
        return self._features


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with a network for each list of the coreset."""
    folder = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(5)
    setting = training.Setting(loss="reward", members=2, width=4, epochs=3)
    for metric in LISTS:
        coreset = load_coreset(metric)
        data = training.Data(
            features=np.array(
                [policy.describe(features(seed), OZ) for seed in range(12)]
            ),
            saved=rng.random((12, len(coreset))),
            packages=[f"p{i % 4}" for i in range(12)],
            shas=[str(i) for i in range(12)],
            digest="",
        )
        arrays = {
            "candidates": np.array(
                [list(bytes.fromhex(c.digest)) for c in coreset], dtype=np.uint8
            )
        }
        for part in PARTS_OF_NET:
            arrays |= {
                f"{part}.{name}": array
                for name, array in training.fit(data, setting, 0).items()
            }
        publish(
            policy.weights_name(metric),
            arrays,
            folder=folder,
            command="a test",
            data="",
            metric="",
        )
    return folder


def scored(
    program: Program, folder: Path, metric: Metric = Metric.LOADABLE_BYTES
) -> tuple[Any, str]:
    return policy.score_candidates(
        cast("Engine", program), OZ, load_coreset(metric), metric, folder
    )


@pytest.mark.parametrize(
    "metric", [Metric.LOADABLE_BYTES, Metric.CODE_BYTES, Metric.IR_INSTRUCTIONS]
)
def test_a_published_network_knows_the_published_coreset(metric: Metric) -> None:
    scores, how = scored(Program(features()), FOLDER, metric)
    if policy.weights_name(metric) not in manifest():
        assert (scores, how) == (None, "greedy order of the coreset")
        return
    assert scores.shape == (len(load_coreset(metric)),)
    assert np.isfinite(scores).all()
    assert how == f"order by the network {policy.weights_name(metric)}"


@pytest.mark.parametrize(
    "metric", [Metric.LOADABLE_BYTES, Metric.CODE_BYTES, Metric.IR_INSTRUCTIONS]
)
def test_a_network_scores_every_candidate(published: Path, metric: Metric) -> None:
    scores, how = scored(Program(features()), published, metric)
    assert scores.shape == (len(load_coreset(metric)),)
    assert len(set(scores.tolist())) > 1
    assert how == f"order by the network {policy.weights_name(metric)}"


def test_a_withdrawn_network_is_gone(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    withdraw(policy.weights_name(Metric.LOADABLE_BYTES), folder=tmp_path)
    assert scored(Program(features()), tmp_path) == (None, "greedy order of the coreset")
    assert scored(Program(features()), tmp_path, Metric.IR_INSTRUCTIONS)[0] is not None
    names = [f"compile-policy-{name}.safetensors" for name in ("code", "ir")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MANIFEST.toml", *names]


def test_another_coreset_keeps_its_own_order(published: Path) -> None:
    stranger = replace(load_coreset()[0], edits=load_coreset()[0].edits[:1], base="O1")
    scores, how = policy.score_features(
        features(), OZ, [*load_coreset(), stranger], Metric.LOADABLE_BYTES, published
    )
    assert scores is None
    assert "trained for another one" in how


def test_programs_that_are_too_large_or_cannot_be_described_keep_the_coresets_order(
    published: Path,
) -> None:
    scores, how = scored(
        Program(features(), instructions=policy.MOST_INSTRUCTIONS + 1), published
    )
    assert scores is None
    assert "100,001 instructions, and the policy is used up to 100,000" in how
    late = Measured(
        recipe=Recipe(pipeline=""),
        outcome=Outcome.TIMEOUT,
        seconds=20.0,
        detail="ended after 20.0 s",
    )
    scores, how = scored(Program(CandidateFailed(late)), published)
    assert scores is None
    assert "could not be described (timeout: ended after 20.0 s)" in how


def test_without_the_c_walker_the_scores_are_the_same_and_it_is_reported(
    published: Path,
) -> None:
    fast, slow = (
        scored(Program(features(native=native)), published) for native in (True, False)
    )
    np.testing.assert_array_equal(fast[0], slow[0])
    assert "without the C walker" in slow[1]


def test_scores_do_not_depend_on_the_order_of_functions(
    published: Path, tmp_path: Path
) -> None:
    scores = []
    for name, parts in (("one", PARTS), ("other", PARTS[::-1])):
        (tmp_path / f"{name}.c").write_text("\n".join(parts))
        bitcode = compile_to_bitcode(
            [tmp_path / f"{name}.c"], workdir=tmp_path, target=Target()
        )[0]
        with Engine(bitcode) as engine:
            scores.append(
                policy.score_candidates(
                    engine, OZ, load_coreset(), Metric.LOADABLE_BYTES, published
                )[0]
            )
    assert scores[0] is not None
    np.testing.assert_array_equal(scores[0], scores[1])
