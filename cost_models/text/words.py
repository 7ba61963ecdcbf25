"""Words of a condition in a text: how near the text's words are to them, and the share it says.

Late interaction, as in ColBERT (Khattab and Zaharia 2020, arXiv 2004.12832): every token of a text
is compared with every word of the condition.

    match_n = sum_i w_i max_j sim(x_i, c_j) / sum_i w_i     over the n tokens of the text
    cover_n = sum_{j said} w_j / sum_j w_j                  over the words of the condition

sim is the cosine of centred embeddings, and 1 for two forms of one word. Both grow by a token at a
time, so they are known for each token that may come next. A word counts once in `cover`: saying it
again gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
FEATURES = 2
"""match and cover."""
_FREQUENT = 300
"""Tokens of a vocabulary that say nothing: bytes, special tokens and the first merges."""
_LEAST_WEIGHT = 0.02
_ENDINGS = ("ing", "ies", "ed", "es", "s", "e")
_SHORT = 4  # letters of a word that keeps its ending


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """Some tokens of a vocabulary."""

    forms: NDArray[np.int32]  # [m]
    weights: Floats  # [m]
    units: Floats  # [m, width], centred embeddings of length 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """Word that a token is a form of, and its weight."""

    forms: NDArray[np.int32]  # [V]
    weights: Floats  # [V]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Vocabulary:
        """Return the vocabulary of a BPE tokenizer, from the texts of its tokens in their order.

        Merges are numbered from frequent to rare, so the logarithm of a token's number stands for
        its inverse document frequency.
        """
        numbers: dict[str, int] = {}
        forms = [numbers.setdefault(normal_form(text), len(numbers)) for text in texts]
        first = math.log(max(1, min(_FREQUENT, len(texts) // 2)))
        ranks = np.log(np.arange(1, len(texts) + 1))
        rare = (ranks - first) / (math.log(len(texts)) - first)
        return cls(
            forms=np.array(forms, np.int32),
            weights=rare.clip(_LEAST_WEIGHT, 1.0).astype(np.float32),
        )

    def tokens(self, ids: Sequence[int] | NDArray[np.integer], units: Floats) -> Tokens:
        """Return tokens with their centred embeddings [m, width] of length 1."""
        some = np.asarray(ids, np.int64)
        return Tokens(forms=self.forms[some], weights=self.weights[some], units=units)


def normal_form(text: str) -> str:
    """Return a token's text without space, case and the commonest endings."""
    word = text.strip().lower()
    if len(word) > _SHORT:
        for ending in _ENDINGS:
            if word.endswith(ending):
                return word.removesuffix(ending)
    return word


def different(tokens: Tokens) -> Tokens:
    """Return the different words of a condition, each once."""
    _, first = np.unique(tokens.forms, return_index=True)
    first = np.sort(first)
    return Tokens(
        forms=tokens.forms[first],
        weights=tokens.weights[first],
        units=tokens.units[first],
    )


class Said:
    """Share of a condition's words that a text says."""

    def __init__(self, wanted: Tokens) -> None:
        """Start before the first token; `wanted` are the `different` words of the condition."""
        self._wanted = wanted
        self._open = wanted.weights.copy()  # 0 for words that were said
        self._total = float(wanted.weights.sum())
        self._near = self._weight = 0.0

    def add(self, tokens: Tokens) -> None:
        """Add tokens that were written."""
        near, same = _seen(tokens, self._wanted)
        self._near += float(tokens.weights @ near)
        self._weight += float(tokens.weights.sum())
        self._open[same.any(0)] = 0.0

    def after(self, tokens: Tokens) -> Floats:
        """Return [m, 2]: match and cover with each of m tokens as the next one."""
        near, same = _seen(tokens, self._wanted)
        match = (self._near + tokens.weights * near) / (self._weight + tokens.weights)
        covered = self._total - self._open.sum() + same @ self._open
        features: Floats = np.stack([match, covered / self._total], 1).astype(np.float32)
        return features


def course(tokens: Tokens, wanted: Tokens) -> Floats:
    """Return [T, 2]: match and cover after each token of a text. `Said` at every place."""
    near, same = _seen(tokens, wanted)
    match = np.cumsum(tokens.weights * near) / np.cumsum(tokens.weights)
    cover = np.maximum.accumulate(same, 0) @ wanted.weights / wanted.weights.sum()
    features: Floats = np.stack([match, cover], 1).astype(np.float32)
    return features


def _seen(tokens: Tokens, wanted: Tokens) -> tuple[Floats, NDArray[np.bool_]]:
    """Return [m] similarities to the nearest word, and [m, words] which word a token is."""
    same = tokens.forms[:, None] == wanted.forms
    near = (tokens.units @ wanted.units.T).max(1)
    return np.where(same.any(1), np.float32(1), near), same
