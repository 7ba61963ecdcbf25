"""Losses against their formulae, and the differences between them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from workers.train.compile.losses import (  # noqa: E402
    bc_loss,
    expected_reward_loss,
    nvp_loss,
    q_loss,
)


def test_nvp_is_the_cross_entropy_of_the_papers_target() -> None:
    logits, reward = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[0.01, 0.02, -0.01]])
    target = torch.exp(reward / 0.01) / torch.exp(reward / 0.01).sum()
    expected = -(target * torch.log(torch.softmax(logits, dim=1))).sum()
    torch.testing.assert_close(nvp_loss(logits, reward, 0.01), expected)
    with pytest.raises(ValueError, match="expected a positive number, got 0"):
        nvp_loss(logits, reward, 0)


def test_nvp_becomes_behaviour_cloning_at_low_temperature() -> None:
    logits, reward = torch.randn(5, 4), torch.rand(5, 4)
    torch.testing.assert_close(nvp_loss(logits, reward, 1e-4), bc_loss(logits, reward))


def test_nvp_tolerates_near_ties_and_behaviour_cloning_does_not() -> None:
    reward = torch.tensor([[0.05, 0.0499, 0.0]])
    first, second = torch.tensor([[5.0, 0.0, 0.0]]), torch.tensor([[0.0, 5.0, 0.0]])
    assert (
        abs(float(nvp_loss(first, reward, 0.005) - nvp_loss(second, reward, 0.005))) < 0.1
    )
    assert float(bc_loss(second, reward) - bc_loss(first, reward)) > 4


def test_q_is_zero_for_exact_values() -> None:
    reward = torch.rand(3, 4) / 10
    assert float(q_loss(100 * reward, reward)) == pytest.approx(0.0, abs=1e-9)
    assert float(q_loss(100 * reward + 1, reward)) == pytest.approx(1.0, abs=1e-5)


def test_expected_reward_is_least_for_a_sure_best_choice_and_zero_below_oz() -> None:
    reward = torch.tensor([[0.04, 0.02, -0.5]])
    sure, second, bad = (torch.eye(3)[[i]] * 30 for i in range(3))
    assert float(expected_reward_loss(sure, reward)) == pytest.approx(-3.0, abs=1e-4)
    assert float(expected_reward_loss(second, reward)) == pytest.approx(-1.5, abs=1e-4)
    assert float(expected_reward_loss(bad, reward)) == pytest.approx(0.0, abs=1e-4), (
        "-Oz is the answer then"
    )
    nothing = torch.tensor([[-0.1, -0.2, -0.3]])
    assert float(expected_reward_loss(sure, nothing)) == pytest.approx(0.0, abs=1e-4)
