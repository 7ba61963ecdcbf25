"""Contrastive loss and recall of the neighbourhood policy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from workers.train.ilp.examples import TEMPERATURE, loss_of, recall  # noqa: E402


def reference(logits: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
    """CL-LNS (Huang et al., ICML 2023), equation 3, with cosines, as a plain loop."""
    score = 1 / (1 + np.exp(-logits))

    def similarity(a: np.ndarray) -> float:
        cosine = score @ a / (np.linalg.norm(score) * np.linalg.norm(a))
        return float(np.exp(cosine / TEMPERATURE))

    against = sum(similarity(a) for a in negatives)
    return float(
        np.mean([-np.log(similarity(a) / (similarity(a) + against)) for a in positives])
    )


def test_the_loss_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20)
    positives = (rng.random((3, 20)) < 0.4).astype(float)
    negatives = (rng.random((5, 20)) < 0.4).astype(float)
    loss = loss_of(*(torch.from_numpy(a) for a in (logits, positives, negatives)))
    assert float(loss) == pytest.approx(reference(logits, positives, negatives), rel=1e-6)


def test_recall_counts_the_best_positive_among_twice_as_many() -> None:
    positives = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 6])
    assert recall(torch.tensor([5.0, 0.0, 4.0, 3.0, 2.0, 1.0]), positives) == 0.5
    assert recall(torch.tensor([5.0, 4.0, 0.0, 0.0, 0.0, 0.0]), positives) == 1.0
