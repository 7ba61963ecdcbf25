"""Coreset fitted to a code base: pipelines and a ranker from the arrays of a model file.

Arrays: `coreset`, the JSON document of the pipelines as uint8; where a ranker helped,
`ranker.weight` (K, F), `ranker.bias` (K,), `ranker.mean` and `ranker.std` (F,).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.compile.search.edits import Candidate
from solvers.llvm.types import Metric

Floats = NDArray[np.float64]
FORMAT = "trimtab-own-coreset/1"
MOST_PIPELINES = 64
_FARTHEST = 4.0  # standard deviations to which features are clipped
_LEAST_STD = 1e-3
CORESET = "coreset"
RANKER = ("ranker.weight", "ranker.bias", "ranker.mean", "ranker.std")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranker:
    """Linear scores of K pipelines from F features of a program."""

    weight: Floats  # (K, F)
    bias: Floats  # (K,)
    mean: Floats  # (F,)
    std: Floats  # (F,)

    def __post_init__(self) -> None:
        pipelines, features = self.weight.shape
        shapes = {"bias": (pipelines,), "mean": (features,), "std": (features,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"ranker.{name}: expected shape {shape}, got {getattr(self, name).shape}"
                )

    def scores(self, features: Floats) -> Floats:
        """Return (K,) scores; larger is tried sooner. Raises ValueError on another length."""
        if features.shape != self.mean.shape:
            raise ValueError(
                f"features: expected shape {self.mean.shape}, got {features.shape}"
            )
        out: Floats = (
            self.weight @ standardised(features, self.mean, self.std) + self.bias
        )
        return out


def standardised(features: Floats, mean: Floats, std: Floats) -> Floats:
    """Return (..., F) features in standard deviations, clipped."""
    out: Floats = np.clip(
        (features - mean) / np.maximum(_LEAST_STD, std), -_FARTHEST, _FARTHEST
    )
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedCoreset:
    """Pipelines of one metric in the order in which to try them, and a ranker where it helped."""

    metric: Metric
    candidates: tuple[Candidate, ...]
    ranker: Ranker | None = None

    def order(self, features: Floats | None) -> list[int]:
        """Return the order for a program; the coreset's own without ranker or features."""
        if self.ranker is None or features is None:
            return list(range(len(self.candidates)))
        order: list[int] = np.argsort(
            -self.ranker.scores(features), kind="stable"
        ).tolist()
        return order

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a model file."""
        document = {
            "format": FORMAT,
            "metric": self.metric.value,
            "candidates": [candidate.as_json() for candidate in self.candidates],
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        out: dict[str, np.ndarray] = {CORESET: np.frombuffer(text.encode(), np.uint8)}
        if self.ranker is not None:
            parts = (
                self.ranker.weight,
                self.ranker.bias,
                self.ranker.mean,
                self.ranker.std,
            )
            out |= {
                name: part.astype(np.float32)
                for name, part in zip(RANKER, parts, strict=True)
            }
        return out


def read_fitted(arrays: Mapping[str, np.ndarray]) -> FittedCoreset:
    """Return the coreset of a model file's arrays. Raises ValueError on other contents."""
    if CORESET not in arrays or arrays[CORESET].dtype != np.uint8:
        raise ValueError(
            f"{CORESET}: expected an array of bytes, got {', '.join(arrays) or 'no array'}"
        )
    try:
        document = json.loads(arrays[CORESET].tobytes())
    except ValueError as error:
        raise ValueError(f"{CORESET}: expected JSON, got {error}") from None
    metric, candidates = read_document(document)
    ranker = None
    if RANKER[0] in arrays:
        missing = [name for name in RANKER if name not in arrays]
        if missing:
            raise ValueError(
                f"ranker: expected {', '.join(RANKER)}, {missing[0]} is missing"
            )
        weight, bias, mean, std = (arrays[name].astype(np.float64) for name in RANKER)
        if weight.ndim != 2 or len(weight) != len(candidates):
            raise ValueError(
                f"ranker.weight: expected a row for each of {len(candidates)} pipelines, got "
                f"shape {weight.shape}"
            )
        ranker = Ranker(weight=weight, bias=bias, mean=mean, std=std)
    return FittedCoreset(metric=metric, candidates=candidates, ranker=ranker)


def read_document(document: object) -> tuple[Metric, tuple[Candidate, ...]]:
    """Return metric and pipelines of a JSON document. Raises ValueError on another one."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        got = document.get("format") if isinstance(document, dict) else document
        raise ValueError(f"format: expected {FORMAT}, got {got!r}")
    try:
        rows = document["candidates"]
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST_PIPELINES:
            raise TypeError(f"expected a list of 1 to {MOST_PIPELINES}, got {rows!r:.80}")
        candidates = tuple(Candidate.from_json(row) for row in rows)
        return Metric(document["metric"]), candidates
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"candidates: expected rows of a coreset: {error}") from None


def complete(
    fitted: Sequence[Candidate], shipped: Sequence[Candidate]
) -> list[Candidate]:
    """Return the fitted pipelines, then the shipped ones that are not among them."""
    known = {candidate.digest for candidate in fitted}
    return [*fitted, *(c for c in shipped if c.digest not in known)]
