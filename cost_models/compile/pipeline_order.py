"""Network that orders the coreset for a program, in numpy.

`workers.train.compile.policy` trains it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Standard deviations from the mean to which features are clipped, so that an unusual program does
# not saturate the network.
_FARTHEST = 4.0
PARTS = ("pick", "order")


class PipelineOrder:
    """Order in which to try pipelines, by two ensembles.

    One, trained for that choice, picks the first pipeline; the other orders the rest. Arrays: those
    of two `PipelineScorer`s, named `pick.…` and `order.…`, and `candidates` for both.
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
        """Return digest → score of each candidate; larger is tried sooner.

        Raises ValueError on features of another length.
        """
        first, others = self._pick.scores(features), self._order.scores(features)
        best = max(first, key=first.__getitem__)
        return others | {best: 1.0 + max(others.values())}


class PipelineScorer:
    """Ensemble of two-layer perceptrons over a feature vector, scoring pipelines by mean logits.

    Arrays: `feature.mean`, `feature.std` (F,); `first.weight` (M, H, F), `first.bias` (M, H);
    `out.weight` (M, K, H), `out.bias` (M, K); `candidates` (K, 32) uint8, the digests of the
    pipelines. Raises KeyError or ValueError on other arrays.
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
        for name, (array, shape) in shapes.items():
            if array.shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
        self.candidates = tuple(
            bytes(row).hex() for row in arrays["candidates"].astype(np.uint8)
        )
        if len(self.candidates) != outputs:
            raise ValueError(
                f"candidates: expected one for each of {outputs} outputs, got "
                f"{len(self.candidates)}"
            )

    @property
    def features(self) -> int:
        """Length F of the feature vector."""
        return len(self._mean)

    def scores(self, features: Floats) -> dict[str, float]:
        """Return digest → score of each candidate; larger is better. Shapes: features (F,).

        Raises ValueError on another length.
        """
        if features.shape != self._mean.shape:
            raise ValueError(
                f"features: expected shape {self._mean.shape}, got {features.shape}"
            )
        x = np.clip((features - self._mean) / self._std, -_FARTHEST, _FARTHEST)
        hidden = np.maximum(0.0, self._first @ x + self._first_bias)  # (M, H)
        logits = np.einsum("mkh,mh->mk", self._out, hidden) + self._out_bias  # (M, K)
        logits = logits - logits.mean(axis=1, keepdims=True)
        return dict(zip(self.candidates, logits.mean(axis=0).tolist(), strict=True))
