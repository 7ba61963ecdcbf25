"""GEAN in numpy equals the torch form, for graphs of any shape."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cost_models.compile.gean import Gean, GraphArrays  # noqa: E402
from gnn.policies.program import GeanProgram, ProgramBatch  # noqa: E402
from gnn.policies.weights import arrays  # noqa: E402

WORDS, K = 20, 5


def graph(seed: int, nodes: int, edges: int, instructions: int) -> GraphArrays:
    rng = np.random.default_rng(seed)
    return GraphArrays(
        token=rng.integers(WORDS, size=nodes),
        type=rng.integers(WORDS, size=nodes),
        instruction=np.arange(nodes) < instructions,
        source=rng.integers(nodes, size=edges),
        target=rng.integers(nodes, size=edges),
        flow=rng.integers(4, size=edges),
        position=rng.integers(32, size=edges),
        turn=rng.integers(3, size=edges),
    )


def by_torch(net: GeanProgram, graph: GraphArrays) -> np.ndarray:
    read = {name: torch.from_numpy(array) for name, array in vars(graph).items()}
    batch = ProgramBatch(
        **read,
        features=torch.zeros(1, 56),
        relation=torch.zeros(len(graph.source), dtype=torch.long),
        graph=torch.zeros(len(graph.token), dtype=torch.long),
        edge_graph=torch.zeros(len(graph.source), dtype=torch.long),
    )
    with torch.no_grad():
        logits: np.ndarray = net(batch)[0].numpy()
    return logits


def net(seed: int, *, spread: float = 0.3) -> GeanProgram:
    torch.manual_seed(seed)
    made = GeanProgram(WORDS, K, width=8, edge_width=4, heads=2, layers=3)
    for (
        parameter
    ) in made.parameters():  # the small initial weights would hide a difference
        torch.nn.init.normal_(parameter, std=spread)
    return made


@pytest.mark.parametrize(
    ("nodes", "edges", "instructions"),
    [(40, 120, 25), (3, 0, 2), (5, 9, 0), (1, 4, 1)],
    ids=["many", "no edge", "no instruction", "loops on one node"],
)
def test_numpy_equals_torch(nodes: int, edges: int, instructions: int) -> None:
    torch_net, program = net(nodes), graph(nodes, nodes, edges, instructions)
    logits = Gean(arrays(torch_net)).logits(program)
    assert logits.shape == (K,)
    np.testing.assert_allclose(logits, by_torch(torch_net, program), rtol=1e-4, atol=1e-5)


def test_large_scores_do_not_overflow() -> None:
    torch_net, program = net(7, spread=4.0), graph(7, 30, 90, 20)
    logits = Gean(arrays(torch_net)).logits(program)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits, by_torch(torch_net, program), rtol=1e-3, atol=1e-3)


def test_other_weights_are_refused() -> None:
    weights = arrays(net(1))
    with pytest.raises(
        ValueError,
        match=r"layers\.0\.first\.weight: expected shape \(20, 20\), got \(20, 19\)",
    ):
        Gean(weights | {"layers.0.first.weight": weights["layers.0.first.weight"][:, 1:]})
    with pytest.raises(KeyError):
        Gean(
            {
                name: array
                for name, array in weights.items()
                if not name.startswith("head.out")
            }
        )
