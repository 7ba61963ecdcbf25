"""Sequential placement by reinforcement learning: a policy that draws rectangle after rectangle.

The state is the image of the metal so far, the action the next rectangle, the reward the score of
the finished design. REINFORCE (Williams, Machine Learning 8, 1992) with the clipped ratio of PPO
(Schulman et al. 2017, equation 7), an advantage that is the rank within the batch, and a bonus for
entropy. The net has one hidden layer; its gradients are written out below, in numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.layouts import NUMBERS, Vectors

Real = NDArray[np.float64]
_DECAYS = 0.9, 0.99


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """One action: state, choices by head, and the log-probability they had."""

    state: Real
    choices: NDArray[np.intp]
    log_chance: float


class Policy:
    """Categorical choices for the numbers of a rectangle, by a net of one hidden layer."""

    hidden = 48

    def __init__(
        self, inputs: int, heads: Sequence[int], rng: np.random.Generator
    ) -> None:
        self.heads = tuple(heads)
        self._slices = np.cumsum([0, *heads])
        outputs = int(self._slices[-1])
        self.weights = [
            rng.standard_normal((inputs, self.hidden)) * np.sqrt(1 / inputs),
            np.zeros(self.hidden),
            rng.standard_normal((self.hidden, outputs)) * 0.01,
            np.zeros(outputs),
        ]
        self._moments = [(np.zeros_like(w), np.zeros_like(w)) for w in self.weights]
        self._updates = 0

    def chances(self, states: Real) -> tuple[Real, list[Real]]:
        """Return the hidden layer, (n, hidden), and the probabilities of each head."""
        w1, b1, w2, b2 = self.weights
        hidden = np.tanh(states @ w1 + b1)
        logits = hidden @ w2 + b2
        parts = []
        for first, last in zip(self._slices[:-1], self._slices[1:], strict=True):
            part = np.exp(
                logits[:, first:last] - logits[:, first:last].max(axis=1, keepdims=True)
            )
            parts.append(part / part.sum(axis=1, keepdims=True))
        return hidden, parts

    def draw(self, state: Real, rng: np.random.Generator) -> _Step:
        """Return an action."""
        _, parts = self.chances(state[None])
        choices = np.array([rng.choice(len(p[0]), p=p[0]) for p in parts], np.intp)
        chance = sum(
            float(np.log(p[0, c] + 1e-12)) for p, c in zip(parts, choices, strict=True)
        )
        return _Step(state=state, choices=choices, log_chance=chance)

    def gradients(
        self, steps: Sequence[_Step], advantages: Real, *, clip: float, entropy: float
    ) -> list[Real]:
        """Return the gradient of Σ min(ratio·A, clipped ratio·A) + entropy bonus, a step's mean."""
        states = np.array([step.state for step in steps])
        hidden, parts = self.chances(states)
        rows = np.arange(len(steps))
        choices = np.array([step.choices for step in steps])
        chance = sum(np.log(p[rows, choices[:, k]] + 1e-12) for k, p in enumerate(parts))
        ratio = np.exp(chance - np.array([step.log_chance for step in steps]))
        # Where the clipped term is the smaller one its gradient is zero.
        active = np.where(advantages > 0, ratio < 1 + clip, ratio > 1 - clip)
        weight = active * ratio * advantages
        slopes = []
        for k, p in enumerate(parts):
            slope = -p * weight[:, None]
            slope[rows, choices[:, k]] += weight
            log_p = np.log(p + 1e-12)
            mean = (p * log_p).sum(axis=1, keepdims=True)
            slopes.append(slope - entropy * p * (log_p - mean))
        outer = np.concatenate(slopes, axis=1) / len(steps)
        inner = (outer @ self.weights[2].T) * (1 - hidden**2)
        return [
            states.T @ inner,
            inner.sum(axis=0),
            hidden.T @ outer,
            outer.sum(axis=0),
        ]

    def climb(self, gradients: Sequence[Real], rate: float) -> None:
        """Take one step of Adam up the gradient."""
        self._updates += 1
        first, second = _DECAYS
        for weight, (mean, square), slope in zip(
            self.weights, self._moments, gradients, strict=True
        ):
            mean += (1 - first) * (slope - mean)
            square += (1 - second) * (slope**2 - square)
            scale = np.sqrt(square / (1 - second**self._updates)) + 1e-8
            weight += rate * mean / (1 - first**self._updates) / scale


class Placement:
    """Places one rectangle after another by a policy that learns from the scores.

    Feed and vias, where free, are drawn by a second policy before the first rectangle.
    """

    batch, rate, clip, entropy, passes = 24, 0.01, 0.2, 0.01, 4

    def __init__(self, vectors: Vectors, rng: np.random.Generator) -> None:
        self._vectors, self._rng = vectors, rng
        n = self._cells = vectors.rules.cells
        # Metal, the feed, and the number of the rectangle; centre, sides and presence.
        inputs = 2 * n * n + vectors.rectangles
        self._policy = Policy(inputs, (n, n, n, n, 2), rng)
        self._posts_size = vectors.size - NUMBERS * vectors.rectangles
        self._posts = (
            Policy(1, (n,) * self._posts_size, rng) if self._posts_size else None
        )
        self._asked: list[tuple[list[_Step], _Step | None]] = []
        self._batch: list[tuple[float, list[_Step], _Step | None]] = []

    def ask(self, count: int) -> list[Design]:
        """Return designs that the policy draws."""
        self._asked, vectors = [], []
        for _ in range(count):
            x, steps, posts = self._episode()
            self._asked.append((steps, posts))
            vectors.append(x)
        return self._vectors.decode_many(vectors)

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Learn from each full batch."""
        for score, (steps, posts) in zip(scores, self._asked, strict=True):
            self._batch.append((score, steps, posts))
        if len(self._batch) >= self.batch:
            self._learn()
            self._batch = []

    def _episode(self) -> tuple[Real, list[_Step], _Step | None]:
        n, count = self._cells, self._vectors.rectangles
        x = np.zeros(self._vectors.size)
        posts = None
        if self._posts is not None:
            posts = self._posts.draw(np.ones(1), self._rng)
            x[NUMBERS * count :] = (posts.choices + 0.5) / n
        feed = self._vectors.feed_of(x)
        steps = []
        metal = np.zeros((n, n))
        for number in range(count):
            step = self._policy.draw(self._state(metal, feed, number), self._rng)
            steps.append(step)
            numbers = (step.choices + 0.5) / n
            numbers[4] = 1.0 if number == 0 else float(step.choices[4])
            x[NUMBERS * number : NUMBERS * (number + 1)] = numbers
            if numbers[4] >= 0.5:
                (x0, x1), (y0, y1) = self._vectors.extents(
                    numbers, feed if number == 0 else None
                )
                metal[x0:x1, y0:y1] = 1
        return x, steps, posts

    def _state(self, metal: Real, feed: tuple[int, int], number: int) -> Real:
        at_feed = np.zeros_like(metal)
        at_feed[feed] = 1
        turn = np.eye(self._vectors.rectangles)[number]
        return np.concatenate([metal.ravel(), at_feed.ravel(), turn])

    def _learn(self) -> None:
        scores = np.array([score for score, _, _ in self._batch])
        # Ranks from -1 to 1, squared towards the best: scores have long tails downwards.
        ranks = 2 * np.argsort(np.argsort(scores)) / (len(scores) - 1) - 1
        advantages = ranks + 0.5 * np.maximum(ranks, 0) ** 3
        advantages -= advantages.mean()
        steps = [step for _, own, _ in self._batch for step in own]
        weights = np.repeat(advantages, [len(own) for _, own, _ in self._batch])
        placed = [posts for _, _, posts in self._batch if posts is not None]
        for _ in range(self.passes):
            slopes = self._policy.gradients(
                steps, weights, clip=self.clip, entropy=self.entropy
            )
            self._policy.climb(slopes, self.rate)
            if self._posts is not None:
                slopes = self._posts.gradients(
                    placed, advantages, clip=self.clip, entropy=self.entropy
                )
                self._posts.climb(slopes, self.rate)
