"""The network that orders the coreset for a program, evaluated in numpy. Training: workers.train.compile.policy (torch)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FARTHEST = 4.0  # standard deviations a feature is let away from its mean: a program unlike all others is clipped, not refused


PARTS = ("pick", "order")


class PipelineOrder:
    """The order in which to try pipelines: the first by one ensemble, trained for that one, the others by another.

    Arrays: those of two `PipelineScorer`s, named `pick.…` and `order.…`, and `candidates` for both.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._pick, self._order = (
            PipelineScorer(
                {
                    name.removeprefix(f"{part}."): array
                    for name, array in arrays.items()
                    if name.startswith(f"{part}.")
                }
                | {"candidates": arrays["candidates"]}
            )
            for part in PARTS
        )

    def scores(self, features: Floats) -> dict[str, float]:
        """Digest of each candidate → score, larger is sooner. Raises ValueError on features of another length."""
        first, others = self._pick.scores(features), self._order.scores(features)
        best = max(first, key=first.__getitem__)
        return others | {best: 1.0 + max(others.values())}


class PipelineScorer:
    """An ensemble of two-layer perceptrons over a feature vector; their mean logit is the score of each pipeline.

    Arrays: `feature.mean`, `feature.std` (F,); `first.weight` (M, H, F), `first.bias` (M, H); `out.weight` (M, K, H),
    `out.bias` (M, K); `candidates` (K, 32) uint8, the digests of what is scored. Raises KeyError or ValueError on other arrays.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._mean, self._std = (
            arrays[f"feature.{name}"].astype(np.float64) for name in ("mean", "std")
        )
        self._first, self._first_bias = (
            arrays[f"first.{name}"].astype(np.float64) for name in ("weight", "bias")
        )
        self._out, self._out_bias = (
            arrays[f"out.{name}"].astype(np.float64) for name in ("weight", "bias")
        )
        members, width, features = self._first.shape
        outputs = self._out.shape[1]
        shapes = {
            "feature.mean": (self._mean, (features,)),
            "feature.std": (self._std, (features,)),
            "first.bias": (self._first_bias, (members, width)),
            "out.weight": (self._out, (members, outputs, width)),
            "out.bias": (self._out_bias, (members, outputs)),
        }
        for name, (array, wanted) in shapes.items():
            if array.shape != wanted:
                raise ValueError(f"{name} has shape {array.shape}; wanted {wanted}")
        self.candidates = tuple(
            bytes(row).hex() for row in arrays["candidates"].astype(np.uint8)
        )
        if len(self.candidates) != outputs:
            raise ValueError(
                f"{len(self.candidates)} candidates came for {outputs} outputs"
            )

    @property
    def features(self) -> int:
        """F, how many numbers a program is described by."""
        return len(self._mean)

    def scores(self, features: Floats) -> dict[str, float]:
        """Digest of each candidate → score, larger is better. Shapes: features (F,). Raises ValueError on another length."""
        if features.shape != self._mean.shape:
            raise ValueError(
                f"features of shape {features.shape} came; wanted {self._mean.shape}"
            )
        x = np.clip((features - self._mean) / self._std, -_FARTHEST, _FARTHEST)
        hidden = np.maximum(0.0, self._first @ x + self._first_bias)  # (M, H)
        logits = np.einsum("mkh,mh->mk", self._out, hidden) + self._out_bias  # (M, K)
        logits = logits - logits.mean(axis=1, keepdims=True)
        return dict(zip(self.candidates, logits.mean(axis=0).tolist(), strict=True))
