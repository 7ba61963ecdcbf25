"""The learned arm: CL-LNS (Huang, Ferber, Tian, Dilkina and Steiner, ICML 2023), with weights trained on small instances.

The k variables with the largest scores (greedy); when that set was taken before at this incumbent, a sample: independent draws
with probability score^p, p such that the expected number is k. Where the graph is unlike all that was trained on, the arm
is not there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gnn.policies.neighbourhood_numpy import NeighbourhoodNet
from gnn.policies.out_of_distribution import MARGIN, ood_score
from search.lns.features import WINDOW, GraphBuilder
from search.lns.guide import Guide
from search.lns.neighbourhoods import Guided
from solvers.types import Bools, Floats, MilpModel

MAX_NONZEROS = 5_000_000  # scores take 0.1 s a million


class LearnedNeighbourhood(Guided):
    """`ready()` is False while there is no root LP, and for good where the net is not at home."""

    name = "cl-lns"

    def __init__(
        self,
        model: MilpModel,
        guide: Guide,
        net: NeighbourhoodNet,
        *,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        super().__init__(model, guide)
        self._net, self._say = net, say
        self._builder: GraphBuilder | None = None
        self._silent = model.nnz > MAX_NONZEROS or model.m == 0
        self._window: list[Floats] = []
        self._scores: Floats | None = None  # of the newest incumbent
        self._taken: set[bytes] = set()

    def ready(self, x: Floats) -> bool:
        """Whether to call `choose`. Solves the root LP when nobody has yet."""
        if self._silent:
            return False
        if self._builder is None:
            root = self._guide.root()
            if root is None:
                self._silent = True
                return False
            self._builder = GraphBuilder(self._model, root)
            far = ood_score(self._builder.summary(), self._net.weights)
            if far > MARGIN:
                self._silent = True
                self._say(
                    f"the learned arm stays silent: the model is {far:.1f} times as far from its training as that reached"
                )
                return False
        return True

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Greedy, then sampled."""
        scores = self._score(x)
        candidates = self._candidates(movable)
        if len(candidates) <= count:
            return self._free(candidates)
        logits = scores[candidates]
        chosen = candidates[np.argpartition(-logits, count)[:count]]
        digest = np.packbits(
            np.bincount(chosen, minlength=self._model.n).astype(bool)
        ).tobytes()
        if digest in self._taken:
            chosen = candidates[rng.random(len(candidates)) < inclusion(logits, count)]
            return self._filled(
                rng.permutation(chosen)[: round(1.2 * count)], count // 2, rng, candidates
            )
        self._taken.add(digest)
        return self._free(chosen)

    def _score(self, x: Floats) -> Floats:
        if self._scores is None or not self._window or self._window[0] is not x:
            if self._builder is None:
                raise RuntimeError("ready() comes first")
            self._window = [x, *self._window][:WINDOW]
            self._scores = self._net.logits(self._builder.at(self._window)).astype(
                np.float64
            )
            self._taken.clear()
        return self._scores


def inclusion(logits: Floats, count: int) -> Floats:
    """(n,) probabilities sigmoid(logit)^p whose sum is `count`, p ≥ 0 by bisection; p = 0 would be all of them.

    Raises ValueError unless 0 < count ≤ n.
    """
    if not 0 < count <= len(logits):
        raise ValueError(f"inclusion wants 0 < count <= {len(logits)}; {count} came")
    log_score = -np.logaddexp(0.0, -logits)  # log sigmoid, ≤ 0
    low, high = 0.0, 1.0
    while np.exp(high * log_score).sum() > count and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (
            (middle, high) if np.exp(middle * log_score).sum() > count else (low, middle)
        )
    probabilities: Floats = np.exp(high * log_score)
    return probabilities
