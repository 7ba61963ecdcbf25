"""Losses for a choice among K pipelines: the three that the paper compares, and ours.

Liang et al., "Learning Compiler Pass Orders using Coreset and Normalized Value Prediction",
ICML 2023, section 3.4. See `deploy/docs/design/compile.md`, "Value prediction". All take logits or
values (B, K) and rewards (B, K), and return the mean over programs, shape ().
"""

from __future__ import annotations

import torch
from torch import Tensor


def nvp_loss(logits: Tensor, reward: Tensor, temperature: float) -> Tensor:
    """Normalised value prediction: cross-entropy against softmax(reward / temperature).

    reward: share saved against -Oz, may be negative. Raises ValueError when temperature ≤ 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature: expected a positive number, got {temperature}")
    target = torch.softmax(reward / temperature, dim=1)
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def bc_loss(logits: Tensor, reward: Tensor) -> Tensor:
    """Behaviour cloning: cross-entropy against the best index, the first of equal ones."""
    return torch.nn.functional.cross_entropy(logits, reward.argmax(dim=1))


def q_loss(values: Tensor, reward: Tensor) -> Tensor:
    """Q-value regression: mean squared error, in percent so that it is of the order of 1."""
    return ((values - 100.0 * reward) ** 2).mean()


def expected_reward_loss(
    logits: Tensor, reward: Tensor, *, entropy: float = 0.01, least: float = 2e-3
) -> Tensor:
    """Minus the share of the best reward that a draw from softmax(logits) gets.

    Pipelines that are worse than -Oz count 0, because -Oz is then the answer. Shares are of at
    least `least`, so that noise is not learned where even the best pipeline saves less.
    `entropy` keeps the choice from collapsing early. This is a policy gradient without
    sampling: it chooses one pipeline well, but not the order of the others.
    """
    share = reward.clamp_min(0) / reward.max(dim=1, keepdim=True).values.clamp_min(least)
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    return -3.0 * (p * share).sum(dim=1).mean() + entropy * (p * log_p).sum(dim=1).mean()
