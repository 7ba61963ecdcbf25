"""Sparse × dense attention equals message passing."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("torch") is None or find_spec("torch_geometric") is None:
    pytest.skip(
        "torch and torch-geometric are not installed: make setup-torch",
        allow_module_level=True,
    )

import torch

from gnn.layers.attention import SeparableAttention


def edges_of(
    receivers: int, senders: int, seed: int, density: float = 0.2
) -> torch.Tensor:
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
    receiving, senders = (
        torch.randn(12, 16).double() * 3,
        torch.randn(20, 16).double() * 3,
    )
    index = edges_of(12, 20, seed)
    edges = (
        torch.randn(1, 16).double()
        if uniform
        else torch.randn(index.shape[1], 16).double()
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
    gradient = layer.score_send.grad.clone()
    layer.zero_grad()
    plain.square().sum().backward()
    assert torch.allclose(gradient, layer.score_send.grad, atol=1e-8)


def test_heads_depend_on_their_own_columns_only() -> None:
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
