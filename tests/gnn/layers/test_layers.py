"""GEAN and GRMP against the papers' formulae as plain loops, and properties for any weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gnn.layers.gean import GraphEdgeAttention  # noqa: E402
from gnn.layers.grmp import GatedRelationalBlock, GatedRelationalMessage  # noqa: E402
from gnn.layers.readout import mean_of_instructions_and_edges  # noqa: E402
from gnn.layers.scatter import scatter_softmax  # noqa: E402

N, E, D, DE, H, R = 7, 15, 8, 6, 2, 5


def graph(seed: int = 0) -> tuple[torch.Tensor, ...]:
    made = torch.Generator().manual_seed(seed)
    nodes, edges = torch.randn(N, D, generator=made), torch.randn(E, DE, generator=made)
    # The last node stands alone.
    source, target = (torch.randint(0, N - 1, (E,), generator=made) for _ in range(2))
    return nodes, edges, source, target, torch.randint(0, R, (E,), generator=made)


def gelu(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.gelu(x, approximate="tanh")


def test_gean_is_its_formula() -> None:
    torch.manual_seed(1)
    layer = GraphEdgeAttention(D, DE, H)
    nodes, edges, source, target, _ = graph()
    got_nodes, got_edges = layer(nodes, edges, source, target)
    heard: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in range(N)]
    for k in range(E):
        i, j = int(source[k]), int(target[k])
        joined = torch.cat(
            [
                layer.node_norm(nodes[i]),
                layer.node_norm(nodes[j]),
                layer.edge_norm(edges[k]),
            ]
        )
        z = layer.second(gelu(layer.first(joined)))
        a0, a1, s, t, renewal = z.split([H, H, D, D, DE])
        heard[i].append((a0, s))
        heard[j].append((a1, t))
        torch.testing.assert_close(
            got_edges[k], edges[k] + gelu(layer.edge_out(layer.renewal_norm(renewal)))
        )
    for v in range(N):
        message = torch.zeros(D)
        if heard[v]:
            logits = torch.stack([a for a, _ in heard[v]])
            share = torch.softmax(logits, dim=0)  # (messages, H)
            for (_, sent), weight in zip(heard[v], share, strict=True):
                message = message + sent * weight.repeat_interleave(D // H)
        torch.testing.assert_close(
            got_nodes[v], nodes[v] + gelu(layer.node_out(layer.message_norm(message)))
        )


def test_grmp_is_its_formula() -> None:
    torch.manual_seed(2)
    layer = GatedRelationalMessage(D, R)
    torch.nn.init.normal_(layer.scale)
    nodes, _, sender, receiver, relation = graph()
    got = layer(nodes, sender, receiver, relation)
    for v in range(N):
        mixed = torch.zeros(D)
        for r in range(R):
            sent = [
                layer.message(nodes[int(sender[k])])
                for k in range(E)
                if receiver[k] == v and relation[k] == r
            ]
            if sent:
                used = gelu(torch.stack(sent).mean(dim=0) * layer.scale[r])
                mixed = mixed + layer.mix(nodes[v])[r] * used
        torch.testing.assert_close(got[v], layer.own(nodes[v]) * layer.gate(mixed))


def test_the_order_of_nodes_and_edges_does_not_matter() -> None:
    torch.manual_seed(3)
    nodes, edges, source, target, relation = graph(4)
    gean, grmp = GraphEdgeAttention(D, DE, H), GatedRelationalBlock(D, R)
    node_order, edge_order = torch.randperm(N), torch.randperm(E)
    place = torch.argsort(node_order)  # old number → new number
    moved = (
        nodes[node_order],
        edges[edge_order],
        place[source[edge_order]],
        place[target[edge_order]],
    )
    for got, plain in zip(gean(*moved), gean(nodes, edges, source, target), strict=True):
        torch.testing.assert_close(
            got, plain[node_order if len(plain) == N else edge_order]
        )
    torch.testing.assert_close(
        grmp(moved[0], moved[2], moved[3], relation[edge_order]),
        grmp(nodes, source, target, relation)[node_order],
    )


def test_graphs_side_by_side_do_not_see_each_other() -> None:
    torch.manual_seed(5)
    layer = GraphEdgeAttention(D, DE, H)
    one, two = graph(6), graph(7)
    alone = layer(*one[:4])
    both = layer(
        torch.cat([one[0], two[0]]),
        torch.cat([one[1], two[1]]),
        torch.cat([one[2], two[2] + N]),
        torch.cat([one[3], two[3] + N]),
    )
    torch.testing.assert_close(both[0][:N], alone[0])
    torch.testing.assert_close(both[1][:E], alone[1])


def test_softmax_sums_to_one_in_each_group_at_large_scores() -> None:
    scores, group = (
        torch.tensor([[1e4], [1e4 - 1], [-1e4], [3.0]]),
        torch.tensor([0, 0, 2, 2]),
    )
    share = scatter_softmax(scores, group, 3)
    torch.testing.assert_close(share[:2].sum(), torch.tensor(1.0))
    torch.testing.assert_close(share[2:].sum(), torch.tensor(1.0))
    assert torch.isfinite(share).all()


def test_the_read_out_averages_instructions_and_edges() -> None:
    nodes, edges = (
        torch.arange(8.0).reshape(4, 2),
        torch.ones(3, 1) * torch.tensor([[1.0], [3.0], [5.0]]),
    )
    instruction = torch.tensor([True, False, True, False])
    got = mean_of_instructions_and_edges(
        nodes, edges, instruction, torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1]), 2
    )
    torch.testing.assert_close(got, torch.tensor([[2.0, 3.0, 2.0], [0.0, 0.0, 5.0]]))


def test_widths_must_be_multiples_of_heads() -> None:
    with pytest.raises(ValueError, match="multiple of heads"):
        GraphEdgeAttention(10, 4, 4)
