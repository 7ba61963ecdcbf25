"""Objectives collapse where theory predicts it, and not with the part that prevents it."""

from __future__ import annotations

from functools import partial

import pytest

torch = pytest.importorskip("torch")

from gnn.pretrain import losses  # noqa: E402
from gnn.pretrain.diagnostics import Collapse, collapse  # noqa: E402
from gnn.pretrain.heads import MovingAverage, keep_at  # noqa: E402
from gnn.pretrain.loop import PretrainParams, pretrain  # noqa: E402
from gnn.pretrain.objectives import (  # noqa: E402
    Hidden,
    JointEmbedding,
    Loss,
    Objective,
    SelfDistillation,
    TwoViews,
    objective_of,
)
from gnn.pretrain.views import hide_rows  # noqa: E402

N, F, D = 128, 8, 8


def trained(objective_for: object, *, steps: int = 150, masked: bool = False) -> Collapse:
    """Pre-train an encoder on Gaussian features with noise between the views."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(N, F, generator=rng)
    encoder = torch.nn.Sequential(
        torch.nn.Linear(F, 16), torch.nn.ReLU(), torch.nn.Linear(16, D)
    )
    objective: Objective = objective_for(encoder)

    def draw(rng: torch.Generator) -> TwoViews | Hidden:
        if masked:
            shown, rows = hide_rows(x, 0.3, rng)
            return Hidden(view=(shown,), rows=rows, features=x)
        first, second = (x + 0.3 * torch.randn(N, F, generator=rng) for _ in range(2))
        return TwoViews(first=(first,), second=(second,))

    params = PretrainParams(steps=steps, rate=1e-2, weight_decay=0.0)
    history = pretrain(encoder, objective, draw, params, rng=rng)
    assert len(history) == steps
    with torch.no_grad():
        return collapse(encoder(x), target_dimensions=4)


def joint(loss: object) -> object:
    return lambda encoder: JointEmbedding(loss, D, projector=(16, 16))


def test_vicreg_needs_its_variance_term() -> None:
    def bare(loss: object) -> object:
        def make(encoder: torch.nn.Module) -> JointEmbedding:
            objective = JointEmbedding(loss, D)
            objective.project = torch.nn.Identity()
            return objective

        return make

    without = trained(bare(partial(losses.vicreg, variance=0.0, covariance=0.0)))
    assert without.alarm
    assert without.spread < 1e-2 or without.rankme < 2
    whole = trained(bare(losses.vicreg))
    assert not whole.alarm
    assert whole.rankme > 6


def test_self_distillation_needs_its_predictor() -> None:
    make = partial(SelfDistillation, width=D, projector=None)
    without = trained(lambda encoder: make(encoder, predictor=None, keep=0.5), steps=400)
    whole = trained(lambda encoder: make(encoder, predictor=64, keep=0.5), steps=400)
    assert without.alarm
    assert not whole.alarm
    assert whole.rankme > 1.5 * without.rankme


@pytest.mark.parametrize("loss", list(Loss))
def test_the_usual_heads_do_not_collapse(loss: Loss) -> None:
    result = trained(
        lambda encoder: objective_of(loss, encoder, D, F),
        steps=30,
        masked=loss is Loss.MASKED,
    )
    assert result.spread > 0.1
    assert result.rankme > 2


def test_the_target_moves_by_the_share_that_is_not_kept() -> None:
    torch.manual_seed(1)
    source = torch.nn.Linear(2, 2)
    average = MovingAverage(source)
    before = average.target.weight.clone()
    with torch.no_grad():
        source.weight += 1.0
    average.update(source, keep=0.75)
    torch.testing.assert_close(average.target.weight, before + 0.25)
    assert not any(p.requires_grad for p in average.parameters())
    assert keep_at(0, 100) == pytest.approx(0.99)
    assert keep_at(50, 100) == pytest.approx(0.995)
    assert keep_at(100, 100) == pytest.approx(1.0)


def test_distillation_moves_its_target_and_never_trains_it() -> None:
    torch.manual_seed(2)
    encoder = torch.nn.Linear(F, D)
    objective = SelfDistillation(encoder, D, keep=0.5)
    first = objective.target.target.encoder.weight.clone()
    with torch.no_grad():
        encoder.weight += 1.0
    objective.after_step(encoder, 0, 10)
    torch.testing.assert_close(objective.target.target.encoder.weight, first + 0.5)


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    encoder = torch.nn.Linear(F, D)
    views = TwoViews(first=(torch.full((4, F), torch.nan),), second=(torch.ones(4, F),))
    objective = joint(losses.vicreg)(encoder)
    before = encoder.weight.clone()
    history = pretrain(
        encoder,
        objective,
        lambda rng: views,
        PretrainParams(steps=5),
        rng=torch.Generator().manual_seed(0),
    )
    assert len(history) == 1
    torch.testing.assert_close(encoder.weight, before)
