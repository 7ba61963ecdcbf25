"""Figures of a control head on held-out documents: AUC by length, and the drift test."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from workers.train.text.batches import Texts, batch, batches
from workers.train.text.net import HeadNet

LENGTHS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"1-4": (0, 4), "5-8": (4, 8), "9-16": (8, 16), "17-32": (16, 32), "33-48": (32, 48)}
)
"""Tokens of the completion that were read, the judged one included."""
FORMS = ("one_pass", "exact")
_WITHIN = 16


def auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores above a negative; ties count half."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right")
    ranks = np.empty(len(scores))
    ranks[order] = (first + last + 1) / 2
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise ValueError(
            f"labels: expected both, got {positives} positives and {negatives} negatives"
        )
    above = ranks[labels].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def auc_by_length(net: HeadNet, texts: Texts) -> dict[str, dict[str, float]]:
    """Return AUC per form: all tokens, each length, and kinds of items that do not fit.

    `hard`: both items of spliced texts; `near`: others of the document; `far`: other documents.
    """
    rng = np.random.default_rng(0)
    scores: dict[str, list[NDArray[np.float64]]] = {form: [] for form in FORMS}
    labels, places = [], []
    kinds: dict[str, list[NDArray[np.bool_]]] = {"hard": [], "near": []}
    # Means begin with the completion, as they do with an answer.
    every = range(len(texts.states))
    for drawn in batches(texts, every, rng, size=64, from_boundary=1.0):
        with torch.no_grad():
            both = net(*drawn.inputs)
        there = drawn.weight.bool()

        def flat(values: torch.Tensor, there: torch.Tensor = there) -> NDArray[np.bool_]:
            spread = values[:, :, None].expand_as(there)
            taken: NDArray[np.bool_] = spread[there].bool().numpy()
            return taken

        for form, logits in zip(FORMS, both, strict=True):
            scores[form].append(logits[there].double().numpy())
        labels.append(flat(drawn.labels))
        kinds["hard"].append(flat(drawn.hard))
        kinds["near"].append(flat(drawn.near))
        places.append(torch.arange(there.shape[2]).expand_as(there)[there].numpy())
    label, place = np.concatenate(labels), np.concatenate(places)
    hard, near = (np.concatenate(kinds[name]) for name in ("hard", "near"))
    shown = {
        "all": np.ones_like(label),
        "hard": hard,
        "near": label | near,
        "far": label | ~(hard | near),
    }
    shown |= {name: (place >= a) & (place < b) for name, (a, b) in LENGTHS.items()}
    late = place >= _WITHIN
    shown["far, 17-48"] = shown["far"] & late
    out: dict[str, dict[str, float]] = {}
    for form in FORMS:
        score = np.concatenate(scores[form])
        out[form] = {name: auc(score[some], label[some]) for name, some in shown.items()}
    return out


def drift(net: HeadNet, texts: Texts) -> dict[str, list[float]]:
    """Return mean log D of the prefix's item per token after the boundary.

    `spliced` texts leave their item at the boundary, `kept` ones go on with it. The means of the
    texts begin with the prefix, as those of an answer that drifts do.
    """
    states = texts.states
    spliced = states.item != states.prefix_item
    rng = np.random.default_rng(0)
    out = {}
    # `judged` puts the item of the completion first, and that of another prefix second.
    for name, chosen, column in (("spliced", spliced, 1), ("kept", ~spliced, 0)):
        numbers = np.flatnonzero(chosen).tolist()
        total, count = np.zeros(_WITHIN), np.zeros(_WITHIN)
        for start in range(0, len(numbers), 64):
            some = numbers[start : start + 64]
            drawn = batch(texts, some, [False] * len(some), rng)
            with torch.no_grad():
                logits, _ = net(*drawn.inputs)
            there = drawn.weight[:, column, :_WITHIN].numpy()
            values = torch.nn.functional.logsigmoid(logits[:, column, :_WITHIN]).numpy()
            total += (values * there).sum(0)
            count += there.sum(0)
        out[name] = (total / count).tolist()
    return out
