"""Cost models in numpy: errors on unseen tables, convexity, and equality with torch."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from cost_models.sharding.features import (
    conditioned_features,
    paper_features,
    physical_features,
)
from cost_models.sharding.generator import meta_like
from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.nets import ConvexComputeNet, ConvexExchangeNet, PaperComputeNet
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import compute_ms
from cost_models.weights import load_weights
from trimtab.specs.sharding import Hardware, Optimizer

NET = ConvexComputeNet.of(load_weights("trimtab-compute-0"))


@pytest.fixture(scope="module")
def arrays() -> TableArrays:
    return TableArrays.of(
        meta_like(80, np.random.default_rng(99)), batch=65_536, optimizer=Optimizer.SGD
    )


@pytest.mark.parametrize("hardware", list(Hardware))
def test_error_on_unseen_tables(arrays: TableArrays, hardware: Hardware) -> None:
    rng = np.random.default_rng(5)
    sets, table, width = 200, [], []
    group = np.repeat(np.arange(sets), 6)
    table, width = rng.integers(0, 80, sets * 6), rng.choice([16, 32, 64, 128], sets * 6)
    true = compute_ms(
        arrays,
        Shards(table=table, width=width, group=group, groups=sets),
        PROFILES[hardware],
    ).total_ms
    rows = NET.embed(arrays, table, width, PROFILES[hardware])
    pooled = np.zeros((sets, rows.shape[1]))
    np.add.at(pooled, group, rows)
    predicted = NET.head(PROFILES[hardware])(pooled)
    assert np.abs(predicted / true - 1).mean() < 0.04


def test_the_head_is_convex() -> None:
    rng = np.random.default_rng(1)
    head = NET.head(PROFILES[Hardware.A100])
    a, b = rng.gamma(1.0, 3.0, (2, 200, len(head.skip)))
    for share in (0.25, 0.5, 0.9):
        assert (
            head(share * a + (1 - share) * b)
            <= share * head(a) + (1 - share) * head(b) + 1e-9
        ).all()
    assert (head.out >= 0).all()


def test_the_exchange_is_convex_and_non_decreasing() -> None:
    net = ConvexExchangeNet.of(load_weights("trimtab-exchange"))
    near = np.linspace(0, 50, 101)
    for far in (0.0, 5.0, 80.0):
        cost = net.cost(near, np.full(101, far), ranks=16, per_node=8)
        assert (np.diff(cost) >= -1e-12).all()
        assert (np.diff(cost, 2) >= -1e-9).all()


@pytest.mark.skipif(
    find_spec("torch") is None, reason="torch trains only: make setup-torch"
)
def test_numpy_and_torch_agree(arrays: TableArrays) -> None:
    import torch

    from workers.train.sharding.models import ConvexCompute, PaperCompute

    table, width = np.arange(12), np.tile([64, 32, 128], 4)
    owner = np.repeat(np.arange(4), 3)
    weights = load_weights("trimtab-compute-0")
    profile = PROFILES[Hardware.H100]
    physical = physical_features(arrays, table, width, profile)
    features = conditioned_features(arrays, table, width, profile, physical)
    model = ConvexCompute(
        weights["mean"],
        weights["std"],
        weights["scale"][: physical.shape[1]],
        weights["condition_mean"],
    )
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    condition = np.tile(profile.conditions(), (4, 1))
    by_torch = model.double()(
        *(torch.from_numpy(x) for x in (features, physical, owner, condition))
    )
    pooled = np.zeros((4, len(NET.skip)))
    np.add.at(pooled, owner, NET.embed(arrays, table, width, profile))
    assert NET.head(profile)(pooled) == pytest.approx(by_torch.detach().numpy(), rel=1e-6)

    weights = load_weights("neuroshard-compute-a100")
    paper = PaperCompute(weights["mean"], weights["std"])
    paper.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    assert sum(p.numel() for p in paper.parameters()) == 8_993, "as published"
    net = PaperComputeNet.of(weights)
    x = paper_features(arrays, table, width)
    by_torch = paper.double()(torch.from_numpy(x), torch.from_numpy(owner), 4)
    rows = net.embed(arrays, table, width)
    pooled = np.zeros((4, rows.shape[1]))
    np.add.at(pooled, owner, rows)
    assert net.cost(pooled) == pytest.approx(by_torch.detach().numpy(), rel=1e-6)
