"""GEAN in numpy gives what the torch form gives, for graphs of any shape."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cost_models.compile.gean import Gean, GraphArrays  # noqa: E402
from gnn.policies.program import GeanProgram, ProgramBatch, arrays  # noqa: E402

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


def by_torch(net: GeanProgram, given: GraphArrays) -> np.ndarray:
    read = {name: torch.from_numpy(array) for name, array in vars(given).items()}
    batch = ProgramBatch(
        **read,
        features=torch.zeros(1, 56),
        relation=torch.zeros(len(given.source), dtype=torch.long),
        graph=torch.zeros(len(given.token), dtype=torch.long),
        edge_graph=torch.zeros(len(given.source), dtype=torch.long),
    )
    with torch.no_grad():
        found: np.ndarray = net(batch)[0].numpy()
    return found


def net(seed: int, *, spread: float = 0.3) -> GeanProgram:
    torch.manual_seed(seed)
    made = GeanProgram(WORDS, K, width=8, edge_width=4, heads=2, layers=3)
    for parameter in made.parameters():  # the small initial weights would hide a difference
        torch.nn.init.normal_(parameter, std=spread)
    return made


@pytest.mark.parametrize(
    ("nodes", "edges", "instructions"),
    [(40, 120, 25), (3, 0, 2), (5, 9, 0), (1, 4, 1)],
    ids=["many", "no edge", "no instruction", "loops on one node"],
)
def test_numpy_gives_what_torch_gives(nodes: int, edges: int, instructions: int) -> None:
    made, given = net(nodes), graph(nodes, nodes, edges, instructions)
    found = Gean(arrays(made)).logits(given)
    assert found.shape == (K,)
    np.testing.assert_allclose(found, by_torch(made, given), rtol=1e-4, atol=1e-5)


def test_large_scores_do_not_overflow() -> None:
    made, given = net(7, spread=4.0), graph(7, 30, 90, 20)
    found = Gean(arrays(made)).logits(given)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, by_torch(made, given), rtol=1e-3, atol=1e-3)


def test_other_weights_are_refused() -> None:
    weights = arrays(net(1))
    with pytest.raises(
        ValueError,
        match=r"layers\.0\.first\.weight has shape \(20, 19\); wanted \(20, 20\)",
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
