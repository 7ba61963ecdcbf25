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
    """Return AUC per form: all tokens, each length, and hard pairs alone."""
    rng = np.random.default_rng(0)
    scores: dict[str, list[NDArray[np.float64]]] = {form: [] for form in FORMS}
    labels, places, hard = [], [], []
    # Means begin with the completion, as they do with an answer.
    every = range(len(texts.states))
    for drawn in batches(texts, every, rng, size=64, from_boundary=1.0):
        with torch.no_grad():
            both = net(drawn.before, drawn.after, drawn.tokens, drawn.rows, drawn.items)
        there = drawn.weight.bool()
        for form, logits in zip(FORMS, both, strict=True):
            scores[form].append(logits[there].double().numpy())
        labels.append(drawn.labels[:, :, None].expand_as(there)[there].bool().numpy())
        hard.append(drawn.hard[:, :, None].expand_as(there)[there].numpy())
        at = torch.arange(there.shape[2]).expand_as(there)
        places.append(at[there].numpy())
    label, place, tough = (np.concatenate(rows) for rows in (labels, places, hard))
    out: dict[str, dict[str, float]] = {}
    for form in FORMS:
        score = np.concatenate(scores[form])
        out[form] = {"all": auc(score, label), "hard": auc(score[tough], label[tough])}
        for name, (low, high) in LENGTHS.items():
            inside = (place >= low) & (place < high)
            out[form][name] = auc(score[inside], label[inside])
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
    for name, chosen in (("spliced", spliced), ("kept", ~spliced)):
        numbers = np.flatnonzero(chosen).tolist()
        total, count = np.zeros(_WITHIN), np.zeros(_WITHIN)
        for start in range(0, len(numbers), 64):
            some = numbers[start : start + 64]
            drawn = batch(texts, some, [False] * len(some), rng)
            own = texts.items[states.prefix_item[some]]
            with torch.no_grad():
                logits, _ = net(
                    drawn.before,
                    drawn.after,
                    drawn.tokens,
                    drawn.rows,
                    torch.from_numpy(own)[:, None],
                )
            there = drawn.weight[:, 0, :_WITHIN].numpy()
            values = torch.nn.functional.logsigmoid(logits[:, 0, :_WITHIN]).numpy()
            total += (values * there).sum(0)
            count += there.sum(0)
        out[name] = (total / count).tolist()
    return out
