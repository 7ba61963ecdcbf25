"""The policy's gradient is that of its objective, and the policy learns."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.antenna.search.placement import Policy, _Step


def objective(policy: Policy, steps: list[_Step], advantages: np.ndarray) -> float:
    """Mean of the clipped surrogate and the entropy bonus, written plainly."""
    total = 0.0
    for step, advantage in zip(steps, advantages, strict=True):
        _, parts = policy.chances(step.state[None])
        log_chance = sum(
            np.log(p[0, c]) for p, c in zip(parts, step.choices, strict=True)
        )
        ratio = np.exp(log_chance - step.log_chance)
        clipped = np.clip(ratio, 0.8, 1.2)
        total += min(ratio * advantage, clipped * advantage)
        total -= 0.05 * sum(float((p * np.log(p)).sum()) for p in parts)
    return total / len(steps)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_agree_with_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    policy = Policy(5, (3, 4, 2), rng)
    steps = [policy.draw(rng.standard_normal(5), rng) for _ in range(6)]
    advantages = rng.standard_normal(6)
    # Away from where they were drawn, some ratios are clipped.
    for weight in policy.weights:
        weight += 0.3 * rng.standard_normal(weight.shape)
    slopes = policy.gradients(steps, advantages, clip=0.2, entropy=0.05)
    for weight, slope in zip(policy.weights, slopes, strict=True):
        for _ in range(5):
            at = tuple(int(rng.integers(size)) for size in weight.shape)
            kept, h = weight[at], 1e-6
            weight[at] = kept + h
            above = objective(policy, steps, advantages)
            weight[at] = kept - h
            below = objective(policy, steps, advantages)
            weight[at] = kept
            assert slope[at] == pytest.approx((above - below) / (2 * h), abs=1e-6)


def test_a_policy_learns_which_choice_is_rewarded() -> None:
    rng = np.random.default_rng(0)
    policy = Policy(2, (5,), rng)
    state = np.array([1.0, 0.0])
    for _ in range(60):
        steps = [policy.draw(state, rng) for _ in range(16)]
        rewards = np.array([float(step.choices[0] == 3) for step in steps])
        slopes = policy.gradients(
            steps, rewards - rewards.mean(), clip=0.2, entropy=0.001
        )
        policy.climb(slopes, 0.05)
    assert policy.chances(state[None])[1][0][0, 3] > 0.8
