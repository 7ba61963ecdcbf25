"""The numpy twin of the neighbourhood policy: equal to torch, and fast."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from gnn.policies.bipartite_graph import BipartiteGraph
from gnn.policies.neighbourhood_numpy import NeighbourhoodNet
from tests.waiting import cpu_limit

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from gnn.policies.neighbourhood import NeighbourhoodPolicy  # noqa: E402


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
        by_torch = model(
            torch.from_numpy(graph.variables),
            torch.from_numpy(graph.rows),
            torch.from_numpy(edges[:1] if kinds == 1 else edges),
            index,
        ).numpy()
    by_numpy = NeighbourhoodNet(weights=model.arrays()).logits(graph)
    np.testing.assert_allclose(by_numpy, by_torch, atol=2e-5)


def test_a_million_nonzeros_score_fast() -> None:
    """Takes 0.1 s on one core of the development machine; with a tensor per edge it takes 10 s."""
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
    with cpu_limit(8):
        scores = net.logits(graph)
    assert np.isfinite(scores).all()
