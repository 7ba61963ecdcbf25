"""Nets compared fairly: about as many parameters, a package in one fold only, a trial once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnn.policies.program import ProgramBatch  # noqa: E402
from solvers.llvm.features import AUTOPHASE_NAMES, INST_COUNT_NAMES, Features  # noqa: E402
from solvers.llvm.graph import ProgramGraph  # noqa: E402
from solvers.llvm.types import Metric  # noqa: E402
from workers.train.compile import encoders  # noqa: E402
from workers.train.compile.paper.learn import batch_of  # noqa: E402
from workers.train.compile.policy import Data, folds  # noqa: E402

K = 24


def features() -> Features:
    return Features(
        autophase=np.ones(len(AUTOPHASE_NAMES), int),
        inst_count=np.ones(len(INST_COUNT_NAMES), int),
    )


def graph(seed: int, nodes: int = 12, edges: int = 30) -> ProgramGraph:
    rng = np.random.default_rng(seed)
    node = np.stack(
        [rng.integers(0, high, nodes) for high in (3, 60, 2, 4, 60)], axis=1
    ).astype(np.int32)
    node[0, 0] = 0  # an instruction at least
    edge = np.stack(
        [rng.integers(0, high, edges) for high in (nodes, nodes, 3, 32)], axis=1
    ).astype(np.int32)
    return ProgramGraph(nodes=node, edges=edge)


def test_all_nets_are_about_as_large() -> None:
    sizes = {
        n: sum(p.numel() for p in encoders.net_of(n, K).parameters())
        for n in ("autophase", "gean", "grmp")
    }
    assert max(sizes.values()) < 1.05 * min(sizes.values()), sizes
    with pytest.raises(ValueError, match="got 'transformer'"):
        encoders.net_of("transformer", K)


@pytest.mark.parametrize("name", ["gean", "grmp"])
def test_scores_do_not_depend_on_the_numbers_of_nodes_and_edges(name: str) -> None:
    torch.manual_seed(0)
    net = encoders.net_of(name, K).double().eval()
    one = graph(3)
    rng = np.random.default_rng(4)
    place = rng.permutation(len(one.nodes))  # node → its new number
    nodes, edges = np.empty_like(one.nodes), one.edges.copy()
    nodes[place] = one.nodes
    edges[:, :2] = place[edges[:, :2]]
    other = ProgramGraph(nodes=nodes, edges=edges[rng.permutation(len(edges))])
    with torch.no_grad():
        scores = [net(batch_of(program, features())) for program in (one, other)]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-12, rtol=1e-9)
    assert scores[0].std() > 0


def test_a_package_is_in_one_fold() -> None:
    packages = [f"p{i % 7}" for i in range(40)]
    fold_of = folds(packages, 3)
    assert set(fold_of.tolist()) == {0, 1, 2}
    assert all(
        len({int(f) for f, p in zip(fold_of, packages, strict=True) if p == name}) == 1
        for name in packages
    )


def test_a_run_learns_a_rule_from_other_packages_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autophase's first number decides which of two pipelines is good; a bad one comes first."""
    rng = np.random.default_rng(0)
    good = rng.integers(0, 2, 36)
    saved = np.stack([-0.01 * np.ones(36), 0.05 * good, 0.05 * (1 - good)], axis=1)
    data = Data(
        features=np.zeros((36, 1)),
        saved=saved,
        packages=[f"p{i % 6}" for i in range(36)],
        shas=[""] * 36,
        digest="",
    )
    programs: list[ProgramBatch] = []
    for number, yes in enumerate(good):
        batch = batch_of(graph(number), features())
        batch.features[0, 0] = float(yes)
        programs.append(batch)
    trial = encoders.Trial(encoder="autophase", loss="nvp", epochs=40)
    monkeypatch.setattr(encoders, "TRIALS", (trial,))
    monkeypatch.setattr(encoders, "load", lambda folder, metric, say: data)
    monkeypatch.setattr(encoders, "_programs", lambda folder, data: (data, programs))
    out = tmp_path / "out.jsonl"
    for _ in range(2):
        encoders.compare(
            tmp_path, metric=Metric.LOADABLE_BYTES, out=out, seed=0, say=lambda text: None
        )
    own, learned = (json.loads(line) for line in out.read_text().splitlines())
    assert own["saved"]["1"] == 0.0
    assert learned["saved"]["1"] == pytest.approx(0.05)
    assert learned["oracle"] == pytest.approx(0.05)
