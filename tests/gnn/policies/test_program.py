"""Program nets: shapes, batches equal to single graphs, and weights by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from gnn.policies.program import (  # noqa: E402
    AutophaseMlp,
    GeanProgram,
    GrmpProgram,
    ProgramBatch,
)
from gnn.policies.weights import arrays  # noqa: E402

WORDS, K, RELATIONS = 20, 5, 8


def program(seed: int, n: int = 9, e: int = 16) -> ProgramBatch:
    made = torch.Generator().manual_seed(seed)

    def below(most: int, count: int) -> torch.Tensor:
        return torch.randint(0, most, (count,), generator=made)

    instruction = torch.zeros(n, dtype=torch.bool)
    instruction[: n // 2] = True
    return ProgramBatch(
        features=torch.rand(1, 56, generator=made),
        token=below(WORDS, n), type=below(WORDS, n), instruction=instruction,
        source=below(n, e), target=below(n, e),
        flow=below(4, e), position=below(32, e), turn=below(3, e),
        relation=below(RELATIONS // 2, e),
        graph=torch.zeros(n, dtype=torch.long), edge_graph=torch.zeros(e, dtype=torch.long),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["mlp", "gean", "grmp"])
def test_a_batch_gives_what_its_programs_give(name: str) -> None:
    torch.manual_seed(0)
    net = {
        "mlp": AutophaseMlp(56, K, width=16),
        "gean": GeanProgram(WORDS, K, width=8, edge_width=4, heads=2, layers=2),
        "grmp": GrmpProgram(WORDS, K, relations=RELATIONS, width=8, layers=2),
    }[name]
    one, two = program(1), program(2, n=12, e=30)
    both = net(ProgramBatch.join([one, two]))
    assert both.shape == (2, K)
    torch.testing.assert_close(both, torch.cat([net(one), net(two)]))
    assert set(arrays(net)) == set(net.state_dict())


def test_graph_nets_depend_on_edge_directions() -> None:
    torch.manual_seed(1)
    gean = GeanProgram(WORDS, K, width=8, edge_width=4, heads=2, layers=2)
    for (
        module
    ) in gean.modules():  # the paper's small initial weights would hide a difference
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.5)
    plain = program(3)
    turned = replace(plain, source=plain.target, target=plain.source)
    assert not torch.allclose(gean(plain), gean(turned), atol=1e-4), "direction counts"


def test_the_papers_net_has_the_papers_size() -> None:
    count = sum(p.numel() for p in GeanProgram(WORDS, 50).layers.parameters())
    assert count == pytest.approx(5.9e6, rel=0.05)


def test_relations_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="even"):
        GrmpProgram(WORDS, K, relations=7)
