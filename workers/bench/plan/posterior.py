"""An enumerated language model with a rare attribute: the law under control, beside the posterior.

FUDGE (arXiv 2104.05218) with an exact discriminator at strength 1 draws from the posterior. Each
function here works by enumeration of all texts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.control import controlled, exact_log_chances, law, likeliest

TOKENS, LENGTH = 5, 6
Text = tuple[int, ...]


class Chain:
    """A Markov language model over 5 tokens and 6 places, enumerated, with a non-local attribute.

    A text has the attribute when 3 follows 2 somewhere and its last token is not 0.
    """

    def __init__(self) -> None:
        """Draw the model from a fixed seed and sum over all texts."""
        rng = np.random.default_rng(0)
        self.steps = rng.dirichlet(np.ones(TOKENS) * 0.7, TOKENS)
        self.start = rng.dirichlet(np.ones(TOKENS))
        self.chances = {text: self._chance(text) for text in self.texts()}
        self.mass: dict[Text, float] = {}
        self.good: dict[Text, float] = {}
        for text, chance in self.chances.items():
            for size in range(LENGTH + 1):
                cut = text[:size]
                self.mass[cut] = self.mass.get(cut, 0.0) + chance
                self.good[cut] = self.good.get(cut, 0.0) + chance * self.has(text)

    @staticmethod
    def texts() -> list[Text]:
        """Return all texts."""
        return list(itertools.product(range(TOKENS), repeat=LENGTH))

    @staticmethod
    def has(text: Text) -> bool:
        """Return whether a text has the attribute."""
        pairs = itertools.pairwise(text)
        return (2, 3) in pairs and text[-1] != 0

    def _chance(self, text: Text) -> float:
        steps = (self.steps[a, b] for a, b in itertools.pairwise(text))
        return float(self.start[text[0]] * math.prod(steps))

    def next(self, text: Text) -> NDArray[np.float64]:
        """Return the chances of the next token."""
        return self.steps[text[-1]] if text else self.start

    def judge(self, text: Sequence[int]) -> float:
        """Return log of the exact chance that a beginning becomes a text with the attribute."""
        good, mass = self.good[tuple(text)], self.mass[tuple(text)]
        return math.log(good / mass) if good > 0 else -math.inf

    def posterior(self) -> dict[Text, float]:
        """Return the law of texts that have the attribute."""
        total = sum(p for text, p in self.chances.items() if self.has(text))
        return {t: p * self.has(t) / total for t, p in self.chances.items()}

    def under_control(self, strength: float, top: int) -> dict[Text, float]:
        """Return the law of whole texts when each token is drawn under control."""
        laws: dict[Text, float] = {(): 1.0}
        for _ in range(LENGTH):
            longer: dict[Text, float] = {}
            for text, weight in laws.items():
                # Double precision, so that the comparison is of the method, not of rounding.
                logits: NDArray[np.float32] = np.log(self.next(text))
                judged = likeliest(logits, top)
                terms = exact_log_chances(text, judged.tolist(), [self.judge])
                ruled = controlled(logits, judged, terms, [strength])
                for token, chance in enumerate(law(ruled, 1.0)):
                    if chance > 0:
                        longer[(*text, token)] = weight * chance
            laws = longer
        return laws


def distance(chain: Chain, laws: dict[Text, float]) -> float:
    """Return the total variation to the posterior."""
    posterior = chain.posterior()
    return 0.5 * sum(abs(laws.get(t, 0.0) - p) for t, p in posterior.items())


def hits(chain: Chain, laws: dict[Text, float]) -> float:
    """Return the share of texts with the attribute."""
    return sum(p for text, p in laws.items() if chain.has(text))


def entropy(laws: dict[Text, float]) -> float:
    """Return the entropy of a law, in nats."""
    return -sum(p * math.log(p) for p in laws.values() if p > 0)
