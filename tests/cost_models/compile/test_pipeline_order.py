"""Network that orders pipelines: numpy equals torch, other shapes are refused."""

from __future__ import annotations

import numpy as np
import pytest

from cost_models.compile.pipeline_order import PipelineOrder, PipelineScorer

F, H, K, M = 7, 5, 4, 3


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "feature.mean": rng.normal(size=F).astype(np.float32),
        "feature.std": rng.uniform(0.5, 2, F).astype(np.float32),
        "first.weight": rng.normal(size=(M, H, F)).astype(np.float32),
        "first.bias": rng.normal(size=(M, H)).astype(np.float32),
        "out.weight": rng.normal(size=(M, K, H)).astype(np.float32),
        "out.bias": rng.normal(size=(M, K)).astype(np.float32),
        "candidates": rng.integers(256, size=(K, 32)).astype(np.uint8),
    }


def test_numpy_equals_torch() -> None:
    torch = pytest.importorskip("torch")
    weights = arrays()
    x = np.random.default_rng(1).normal(size=F)
    standard = (
        torch.from_numpy((x - weights["feature.mean"]) / weights["feature.std"])
        .double()
        .clamp(-4, 4)
    )
    logits = []
    for member in range(M):
        first, out = torch.nn.Linear(F, H).double(), torch.nn.Linear(H, K).double()
        for layer, name in ((first, "first"), (out, "out")):
            layer.weight.data = torch.from_numpy(
                weights[f"{name}.weight"][member]
            ).double()
            layer.bias.data = torch.from_numpy(weights[f"{name}.bias"][member]).double()
        logits.append(out(torch.relu(first(standard))))
    stacked = torch.stack(logits)
    expected = (stacked - stacked.mean(dim=1, keepdim=True)).mean(dim=0).detach().numpy()
    scores = PipelineScorer(weights).scores(x)
    np.testing.assert_allclose(list(scores.values()), expected, atol=1e-9)
    assert list(scores) == [bytes(row).hex() for row in weights["candidates"]]


def test_a_constant_on_all_logits_of_a_member_changes_nothing() -> None:
    weights, shifted = arrays(), arrays()
    shifted["out.bias"][1] += 3.0
    x = np.zeros(F)
    one, other = PipelineScorer(weights).scores(x), PipelineScorer(shifted).scores(x)
    np.testing.assert_allclose(list(one.values()), list(other.values()), atol=1e-6)


def test_far_away_programs_are_clipped() -> None:
    scorer = PipelineScorer(arrays())
    far, farther = (dict(scorer.scores(np.full(F, size))) for size in (1e6, 1e9))
    assert far == farther


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"features: expected shape \(7,\), got \(8,\)"):
        PipelineScorer(arrays()).scores(np.zeros(F + 1))
    with pytest.raises(ValueError, match=r"out\.bias: expected shape"):
        PipelineScorer(arrays() | {"out.bias": np.zeros((M, K + 1))})
    with pytest.raises(ValueError, match="expected one for each of 4 outputs, got 5"):
        PipelineScorer(arrays() | {"candidates": np.zeros((5, 32), dtype=np.uint8)})
    with pytest.raises(KeyError):
        PipelineScorer({})


def test_one_network_picks_the_first_and_the_other_orders_the_rest() -> None:
    pick, behind = arrays(1), arrays(2)
    both = {f"pick.{name}": array for name, array in pick.items() if name != "candidates"}
    both |= {
        f"order.{name}": array for name, array in behind.items() if name != "candidates"
    }
    names = pick["candidates"]
    x = np.random.default_rng(5).normal(size=F)
    scores = PipelineOrder(both | {"candidates": names}).scores(x)
    first = PipelineScorer(pick | {"candidates": names}).scores(x)
    others = PipelineScorer(behind | {"candidates": names}).scores(x)
    order = sorted(scores, key=lambda name: -scores[name])
    best = max(first, key=lambda name: first[name])
    assert order[0] == best
    assert order[1:] == [
        name for name in sorted(others, key=lambda name: -others[name]) if name != best
    ]
