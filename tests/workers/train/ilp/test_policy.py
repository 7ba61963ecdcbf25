"""Contrastive loss and recall of the neighbourhood policy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from workers.corpus import integer_programs  # noqa: E402
from workers.train.ilp.examples import TEMPERATURE, loss_of, recall  # noqa: E402
from workers.train.ilp.policy import TrainParams, train  # noqa: E402
from workers.train.ilp.states import State, path_of, save  # noqa: E402


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


def some_states(folder: Path) -> None:
    """Write states of six tiny instances, one of them held out."""
    for seed in range(1, 7):
        model = integer_programs.generate("set-cover", "1/5", seed)
        rng = np.random.default_rng(seed)
        sets = rng.random((6, model.n)) < 0.02
        state = State(
            x=np.ones(model.n), positives=sets[:1], gains=np.ones(1), negatives=sets[1:]
        )
        save([state], path_of(folder, "set-cover", seed))


def test_another_encoder_is_compared_and_not_published(tmp_path: Path) -> None:
    states, out = tmp_path / "states", tmp_path / "weights"
    some_states(states)
    said: list[str] = []
    train(
        states,
        TrainParams(epochs=1, seed=3, encoder="grmp"),
        work=tmp_path,
        out=out,
        command="",
        say=said.append,
    )
    line = json.loads((tmp_path / "cl-lns-grmp-3.json").read_text())
    assert line["encoder"] == "grmp"
    assert line["states"] == [5, 1]
    assert np.isfinite(line["loss"])
    assert 0 <= line["recall"]["set-cover"] <= 1
    assert not out.exists()
    assert "not published" in said[-1]


def test_published_weights_fit_the_encoder_of_the_paper_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave out --published"):
        train(
            tmp_path,
            TrainParams(epochs=1, seed=0, encoder="gat"),
            work=tmp_path,
            out=tmp_path,
            command="",
            say=lambda text: None,
            start={},
        )
