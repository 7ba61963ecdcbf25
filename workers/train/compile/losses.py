"""Ways to learn a choice among K pipelines: the three the paper compares (Liang et al., ICML 2023, section 3.4), and ours."""

from __future__ import annotations

import torch
from torch import Tensor


def nvp_loss(logits: Tensor, reward: Tensor, temperature: float) -> Tensor:
    """Normalised value prediction: cross-entropy of softmax(logits) against softmax(reward / temperature).

    Shapes (B, K), (B, K) → (). reward: share saved against -Oz, may be negative. Raises ValueError when temperature ≤ 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} came; wanted one above 0")
    target = torch.softmax(reward / temperature, dim=1)
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def bc_loss(logits: Tensor, reward: Tensor) -> Tensor:
    """Behaviour cloning: cross-entropy against the best index, the first of equal ones. Shapes (B, K), (B, K) → ()."""
    return torch.nn.functional.cross_entropy(logits, reward.argmax(dim=1))


def q_loss(values: Tensor, reward: Tensor) -> Tensor:
    """Q-value regression: mean squared error, in percent so that it is of the order of 1. Shapes (B, K), (B, K) → ()."""
    return ((values - 100.0 * reward) ** 2).mean()


def expected_reward_loss(
    logits: Tensor, reward: Tensor, *, entropy: float = 0.01, least: float = 2e-3
) -> Tensor:
    """Minus the share of its best reward that a draw from softmax(logits) gets, mean over programs. (B, K), (B, K) → ().

    What is worse than -Oz counts 0, because -Oz is then the answer. Where even the best pipeline saves less than `least`, that
    is the measure, so that noise is not learned. `entropy` keeps the choice from collapsing early. One pipeline is chosen well
    by this (a policy gradient without sampling); the order behind it is not.
    """
    share = reward.clamp_min(0) / reward.max(dim=1, keepdim=True).values.clamp_min(least)
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    return -3.0 * (p * share).sum(dim=1).mean() + entropy * (p * log_p).sum(dim=1).mean()
