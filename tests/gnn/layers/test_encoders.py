"""Encoders by word: rivals, equal parameters, equivariance; GRMP in its limits."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from gnn.layers.encoders import (  # noqa: E402
    Encoder,
    RelationalNet,
    parameters_of,
    relational_block,
    width_for,
)
from gnn.layers.grmp import GatedRelationalMessage  # noqa: E402

N, C, R, E = 9, 8, 3, 30


def graph() -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(N, C, generator=rng)
    sender, receiver = (torch.randint(0, N, (E,), generator=rng) for _ in range(2))
    return x, sender, receiver, torch.randint(0, R, (E,), generator=rng)


@pytest.mark.parametrize("encoder", list(Encoder))
def test_the_order_of_nodes_edges_and_relations_does_not_matter(encoder: Encoder) -> None:
    torch.manual_seed(1)
    block = relational_block(encoder, C, R).eval()
    x, sender, receiver, relation = graph()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    place = torch.argsort(order)
    shuffled = torch.randperm(E, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        want = block(x, sender, receiver, relation)
        got = block(
            x[order],
            place[sender[shuffled]],
            place[receiver[shuffled]],
            relation[shuffled],
        )
    torch.testing.assert_close(got, want[order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", list(Encoder))
def test_every_encoder_hears_which_relation_an_edge_has(encoder: Encoder) -> None:
    torch.manual_seed(4)
    block = relational_block(encoder, C, R).eval()
    x, sender, receiver, relation = graph()
    with torch.no_grad():
        first = block(x, sender, receiver, relation)
        other = block(x, sender, receiver, (relation + 1) % R)
    assert not torch.allclose(first, other, atol=1e-4)


def test_rivals_get_about_the_parameters_of_grmp() -> None:
    target = parameters_of(RelationalNet("grmp", 4, 32, 6))
    for encoder in Encoder:
        width = width_for(target, lambda w, e=encoder: RelationalNet(e, 4, w, 6))
        share = parameters_of(RelationalNet(encoder, 4, width, 6)) / target
        assert 0.9 < share < 1.1
    assert width_for(target, lambda w: RelationalNet("grmp", 4, w, 6)) == 32


def test_an_unknown_encoder_is_refused_with_the_list() -> None:
    with pytest.raises(
        ValueError, match="expected one of grmp, rgcn, gat, gine, got 'x'"
    ):
        relational_block("x", C, R)


def test_grmp_with_unit_weights_is_a_mean_of_messages() -> None:
    torch.manual_seed(5)
    layer = GatedRelationalMessage(C, 1)
    with torch.no_grad():
        layer.mix.weight.zero_()
        layer.mix.bias.fill_(1)  # a = 1
        layer.gate.weight.copy_(torch.eye(C))
        layer.gate.bias.zero_()
        layer.own.weight.zero_()
        layer.own.bias.fill_(1)
    x, sender, receiver, _ = graph()
    got = layer(x, sender, receiver, torch.zeros_like(sender))
    for i in range(N):
        heard = layer.message(x[sender[receiver == i]])
        mean = heard.mean(dim=0) if len(heard) else torch.zeros(C)
        want = torch.nn.functional.gelu(mean, approximate="tanh")
        torch.testing.assert_close(got[i], want, atol=1e-6, rtol=1e-5)


def test_relation_ids_can_be_permuted_with_their_weights_and_empty_ones_add_nothing() -> (
    None
):
    torch.manual_seed(6)
    layer, other = GatedRelationalMessage(C, R), GatedRelationalMessage(C, R)
    torch.nn.init.normal_(layer.scale)
    turned = torch.tensor([2, 0, 1])  # old relation r becomes turned[r]
    state = {k: v.clone() for k, v in layer.state_dict().items()}
    for name in ("scale", "mix.weight", "mix.bias"):
        state[name][turned] = layer.state_dict()[name]
    other.load_state_dict(state)
    x, sender, receiver, relation = graph()
    with torch.no_grad():
        want = layer(x, sender, receiver, relation)
        torch.testing.assert_close(other(x, sender, receiver, turned[relation]), want)
        some = relation > 0
        few = layer(x, sender[some], receiver[some], relation[some])
        layer.scale[0] = 99.0
        layer.mix.weight[0] = 99.0
        same = layer(x, sender[some], receiver[some], relation[some])
    torch.testing.assert_close(few, same, atol=0, rtol=0)
