"""Learned arm: CL-LNS (Huang, Ferber, Tian, Dilkina and Steiner, ICML 2023).

A graph attention network, trained on small instances, scores every integer variable. The arm frees
the k variables with the largest scores (greedy). If that set was tried before at this incumbent, it
samples: independent draws with probability score^p, p such that the expected number is k
(deploy/docs/design/ilp.md, "CL-LNS"). The arm disables itself on out-of-distribution models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gnn.policies.neighbourhood_numpy import NeighbourhoodNet
from gnn.policies.out_of_distribution import MARGIN, ood_score
from search.lns.features import WINDOW, GraphBuilder
from search.lns.guide import Guide
from search.lns.neighbourhoods import GuidedBase, set_key
from solvers.types import Bools, Floats, MilpModel

MAX_NONZEROS = 5_000_000  # scoring takes 0.1 s per million
_MOST_POWER = 1e6
_BISECTIONS = 60


def no_note(text: str) -> None:
    """Drop the note."""


class LearnedNeighbourhood(GuidedBase):
    """CL-LNS's arm. It is not ready without a root LP and on out-of-distribution models."""

    def __init__(
        self,
        model: MilpModel,
        guide: Guide,
        net: NeighbourhoodNet,
        *,
        note: Callable[[str], object] = no_note,
    ) -> None:
        super().__init__(model, guide)
        self._net, self._note = net, note
        self._builder: GraphBuilder | None = None
        self._disabled = model.nnz > MAX_NONZEROS or model.m == 0
        self._window: list[Floats] = []  # latest incumbents, newest first
        self._scores: Floats | None = None  # of the newest incumbent
        self._tried: set[bytes] = set()

    def ready(self, x: Floats) -> bool:
        """Return True if `choose` may be called. Solves the root LP if need be."""
        if self._disabled:
            return False
        if self._builder is None:
            root = self._guide.root()
            if root is None:
                self._disabled = True
                return False
            self._builder = GraphBuilder(self._model, root)
            score = ood_score(self._builder.summary(), self._net.weights)
            if score > MARGIN:
                self._disabled = True
                self._note(
                    f"the learned arm is disabled: the model is {score:.1f} times as far from "
                    "its training data as these data reached"
                )
                return False
        return True

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Free the best scores, or a sample by score if that set was tried before."""
        scores = self._score(x)
        candidates = self._candidates(movable)
        if len(candidates) <= count:
            return self._free(candidates)
        logits = scores[candidates]
        chosen = candidates[np.argpartition(-logits, count)[:count]]
        key = set_key(chosen, self._model.n)
        if key in self._tried:
            drawn = candidates[rng.random(len(candidates)) < inclusion(logits, count)]
            trimmed = rng.permutation(drawn)[: round(1.2 * count)]
            return self._filled(trimmed, count // 2, rng, candidates)
        self._tried.add(key)
        return self._free(chosen)

    def _score(self, x: Floats) -> Floats:
        if self._scores is None or not self._window or self._window[0] is not x:
            if self._builder is None:
                raise RuntimeError("call ready() before choose()")
            self._window = [x, *self._window][:WINDOW]
            logits = self._net.logits(self._builder.at(self._window))
            self._scores = logits.astype(np.float64)
            self._tried.clear()
        return self._scores


def inclusion(logits: Floats, count: int) -> Floats:
    """Return (n,) probabilities sigmoid(logit)^p whose sum is `count`, p ≥ 0 by bisection.

    Raises ValueError unless 0 < count ≤ n.
    """
    if not 0 < count <= len(logits):
        raise ValueError(f"count: expected 1 to {len(logits)}, got {count}")
    log_score = -np.logaddexp(0.0, -logits)  # log sigmoid, ≤ 0
    low, high = 0.0, 1.0  # p = 0 would include all
    while np.exp(high * log_score).sum() > count and high < _MOST_POWER:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if np.exp(middle * log_score).sum() > count:
            low = middle
        else:
            high = middle
    probabilities: Floats = np.exp(high * log_score)
    return probabilities
