"""Sparse × dense attention equals message passing; numpy equals torch."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import sparse

from gnn.policies.bipartite_graph import BipartiteGraph
from gnn.policies.neighbourhood_numpy import NeighbourhoodNet

if find_spec("torch") is None or find_spec("torch_geometric") is None:
    pytest.skip(
        "torch and torch-geometric are not installed: make setup-torch",
        allow_module_level=True,
    )

import torch

from gnn.layers.attention import SeparableAttention
from gnn.policies.neighbourhood import NeighbourhoodPolicy


def edges_of(receivers: int, senders: int, seed: int, density: float = 0.2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(receivers, senders, generator=generator) < density
    mask[0] = False  # a receiver without senders
    return mask.nonzero().T.contiguous()


# torch-geometric 2.8 inspects layers with torch.jit, which torch 2.13 calls deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_separable_form_is_message_passing(seed: int, uniform: bool) -> None:
    torch.manual_seed(seed)
    layer = SeparableAttention(width=16, heads=4).double()
    receiving, senders = torch.randn(12, 16).double() * 3, torch.randn(20, 16).double() * 3
    index = edges_of(12, 20, seed)
    edges = (
        torch.randn(1, 16).double() if uniform else torch.randn(index.shape[1], 16).double()
    )
    spread = edges.expand(index.shape[1], 16)
    from gnn.layers.attention_by_edge import AttentionByEdge

    plain = AttentionByEdge(layer, torch.randn(4, 4).double())(
        receiving, senders, spread, index
    )
    fast = layer(senders, edges, index, 12, uniform=uniform)
    assert torch.allclose(fast, plain, atol=1e-9)
    assert (fast[0] == 0).all(), "nothing is received without senders"
    # Gradients too: what trains is the fast form.
    fast.square().sum().backward()
    found = layer.score_send.grad.clone()
    layer.zero_grad()
    plain.square().sum().backward()
    assert torch.allclose(found, layer.score_send.grad, atol=1e-8)


def test_heads_see_their_own_columns_only() -> None:
    """The released code mixes them: a head's logit there is made of other heads' numbers."""
    torch.manual_seed(0)
    layer = SeparableAttention(width=16, heads=4)
    index = edges_of(6, 9, 1, density=0.6)
    senders = torch.randn(9, 16)
    before = layer(senders, torch.zeros(1, 16), index, 6, uniform=True)
    with torch.no_grad():
        layer.score_send[2] += 1.0
    after = layer(senders, torch.zeros(1, 16), index, 6, uniform=True)
    moved = (before - after).abs().sum(dim=0) > 1e-6
    assert moved[8:12].all()
    assert not moved[:8].any()
    assert not moved[12:].any()
    with pytest.raises(ValueError, match="multiple of heads"):
        SeparableAttention(width=10, heads=4)


@pytest.mark.parametrize("kinds", [1, 2, 3, 40])
def test_numpy_evaluates_the_trained_net(kinds: int) -> None:
    torch.manual_seed(kinds)
    rng = np.random.default_rng(kinds)
    model = NeighbourhoodPolicy(7, 5, 2)
    for name in ("variable", "row", "edge"):
        getattr(model, f"{name}_mean").uniform_(-1, 1)
        getattr(model, f"{name}_std").uniform_(0.5, 2)
    pattern = sparse.random(
        15, 25, density=0.3, format="csr", random_state=1, dtype=np.float32
    )
    pattern.data[:] = 1.0
    table = rng.normal(size=(kinds, 2)).astype(np.float32)
    edges = table[np.arange(pattern.nnz) % kinds]
    graph = BipartiteGraph(
        variables=rng.normal(size=(25, 7)).astype(np.float32),
        rows=rng.normal(size=(15, 5)).astype(np.float32),
        edges=edges,
        matrix=pattern,
    )
    entry_row = np.repeat(np.arange(15), np.diff(pattern.indptr))
    index = torch.from_numpy(np.stack([entry_row, pattern.indices]).astype(np.int64))
    with torch.no_grad():
        wanted = model(
            torch.from_numpy(graph.variables),
            torch.from_numpy(graph.rows),
            torch.from_numpy(edges[:1] if kinds == 1 else edges),
            index,
        ).numpy()
    found = NeighbourhoodNet(weights=model.arrays()).logits(graph)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_a_million_nonzeros_score_fast() -> None:
    """0.1 s on one core of the development machine; the bar is that no edge-by-edge tensor is made (10 s)."""
    rng = np.random.default_rng(0)
    n, m = 4_000, 5_000
    columns = rng.integers(n, size=(m, 200))
    pattern = sparse.csr_matrix(
        (
            np.ones(m * 200, dtype=np.float32),
            columns.ravel(),
            np.arange(0, m * 200 + 1, 200),
        ),
        shape=(m, n),
    )
    graph = BipartiteGraph(
        variables=rng.normal(size=(n, 38)).astype(np.float32),
        rows=rng.normal(size=(m, 10)).astype(np.float32),
        edges=np.ones((m * 200, 2), dtype=np.float32),
        matrix=pattern,
    )
    net = NeighbourhoodNet(weights=NeighbourhoodPolicy(38, 10, 2).arrays())
    net.logits(graph)
    began = time.process_time()
    scores = net.logits(graph)
    assert time.process_time() - began < 2.0
    assert np.isfinite(scores).all()
