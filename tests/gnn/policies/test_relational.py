"""Neighbourhood policies with relational encoders."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from gnn.layers.encoders import PAPER, parameters_of  # noqa: E402
from gnn.policies.neighbourhood import NeighbourhoodPolicy  # noqa: E402
from gnn.policies.relational import ENCODERS, policy_of  # noqa: E402
from workers.train.ilp.cli import ENCODERS as WORDS  # noqa: E402

N, M, F, R = 7, 5, 6, 4


def graph(seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return variables, rows, edges and index of a random bipartite graph."""
    generator = torch.Generator().manual_seed(seed)
    dense = torch.randn(M, N, generator=generator)
    dense[torch.rand(M, N, generator=generator) < 0.4] = 0.0
    index = dense.nonzero().T
    edges = torch.stack([dense[index[0], index[1]]] * 2, dim=1)
    variables = torch.randn(N, F, generator=generator)
    rows = torch.randn(M, R, generator=generator)
    return variables, rows, edges, index


def test_the_command_line_knows_all_encoders() -> None:
    assert WORDS == ENCODERS


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoders_have_about_the_parameters_of_the_paper(encoder: str) -> None:
    paper = parameters_of(NeighbourhoodPolicy(F, R, 2))
    assert parameters_of(policy_of(encoder, F, R, 2)) == pytest.approx(paper, rel=0.06)


@pytest.mark.parametrize("encoder", [word for word in ENCODERS if word != PAPER])
def test_logits_follow_a_permutation_of_variables_and_rows(encoder: str) -> None:
    torch.manual_seed(1)
    model = policy_of(encoder, F, R, 2)
    variables, rows, edges, index = graph()
    p, q = torch.randperm(N), torch.randperm(M)
    turned = torch.stack([torch.argsort(q)[index[0]], torch.argsort(p)[index[1]]])
    with torch.no_grad():
        logits = model(variables, rows, edges, index)
        permuted = model(variables[p], rows[q], edges, turned)
    assert logits.shape == (N,)
    assert torch.allclose(permuted, logits[p], atol=1e-5)
    assert float(logits.std()) > 0


def test_signs_of_coefficients_are_relations() -> None:
    torch.manual_seed(2)
    model = policy_of("grmp", F, R, 2)
    variables, rows, edges, index = graph()
    # Scales of relations begin equal; training makes them differ.
    for name, parameter in model.named_parameters():
        if name.endswith("scale"):
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        one = model(variables, rows, edges, index)
        other = model(variables, rows, -edges, index)
        uniform = model(variables, rows, torch.ones(1, 2), index)
        same = model(variables, rows, torch.ones(index.shape[1], 2), index)
    assert not torch.allclose(one, other)
    assert torch.allclose(uniform, same)


def test_other_words_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of paper, grmp, rgcn, gat, gine"):
        policy_of("gcn", F, R, 2)
