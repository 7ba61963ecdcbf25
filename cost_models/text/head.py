"""One-pass head of the text controller: chances of a condition for all next tokens at once.

FUDGE (Yang and Klein 2021, arXiv 2104.05218) asks a discriminator once for each continuation. This
head answers for all of them from one state of the frozen language model:

    log D_v = logsigmoid(s + t cos(d e_v', d q') + <b + b' log n, words_v> + l log n)
    s = k cos(U z + u, W c + v) + <w, tanh(A z + C c + a)> + s_0

e_v is a token's embedding, z describes the text so far (`Trace`), c the condition
(`condition_vector`), e_v' and q' are the embedding and the mean state of the condition less their
means, d a weight for each of their numbers. words_v are the features of `cost_models.text.words`
for the n tokens of the text, v included. A learned product of e_v with the hidden values, and a
bias of tokens, favoured words of the documentation that training reads, and are left out. The
*exact* form, kept as reference, judges a text after its last token was read, with weights of its
own and without the cosine of e_v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.text.words import FEATURES

Floats = NDArray[np.float32]
LEAD = "Summary:"
"""What the language model reads before a condition: a first token's state says nothing."""
DECAY = 0.9
"""Of the running means, a token: half of their weight lies on the last 7 tokens."""
_REMEDY = "train the head for this language model"


def head_name(model: str) -> str:
    """Return the name of the published weights of a language model's head."""
    return f"control-{model}"


def condition_tokens(
    encode: Callable[[str], Sequence[int]], text: str
) -> tuple[list[int], list[int]]:
    """Return the tokens of the lead and those of a condition after it."""
    return list(encode(LEAD)), list(encode(f" {text.strip()}"))


def condition_vector(states: Floats, embeddings: Floats) -> Floats:
    """Return [2 width]: means of a condition's states and embeddings, both [T, width]."""
    return np.concatenate([states.mean(0), embeddings.mean(0)]).astype(np.float32)


class Trace:
    """Describes a text so far: the last state, and running means of states and embeddings."""

    def __init__(self, width: int) -> None:
        """Start before the first token."""
        self._last = np.zeros(width, np.float32)
        self._sums = np.zeros((2, width), np.float32)
        self._weight = 0.0

    def add(self, state: Floats, embedding: Floats) -> None:
        """Add a token: its embedding, and the state [width] after reading it."""
        self._last = state
        self._sums = DECAY * self._sums + np.stack([state, embedding])
        self._weight = DECAY * self._weight + 1.0

    def copy(self) -> Trace:
        """Return a trace that goes on by itself."""
        other = Trace(len(self._last))
        other._last, other._sums, other._weight = self._last, self._sums, self._weight
        return other

    @property
    def vector(self) -> Floats:
        """[3 width]: state, mean state, mean embedding."""
        means = self._sums / max(self._weight, 1.0)
        return np.concatenate([self._last, means[0], means[1]]).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scorer:
    """Weights that score a text against a condition."""

    a: Floats  # [h, 3 width]
    c: Floats  # [h, 2 width]
    a0: Floats  # [h]
    u: Floats  # [r, 3 width]
    u0: Floats  # [r]
    w: Floats  # [r, 2 width]
    w0: Floats  # [r]
    g: Floats  # [h]
    k: float
    s0: float

    def prepared(self, condition: Floats) -> Prepared:
        """Return what a normed condition [..., 2 width] gives to every text."""
        return Prepared(
            gate=condition @ self.c.T + self.a0,
            meant=unit(condition @ self.w.T + self.w0),
        )

    def score(self, text: Floats, condition: Prepared) -> Floats:
        """Return s [...] of a normed text [..., 3 width] against a condition."""
        hidden = np.tanh(text @ self.a.T + condition.gate)
        states = unit(text @ self.u.T + self.u0)
        match = (states * condition.meant).sum(-1)
        score: Floats = hidden @ self.g + self.k * match + self.s0
        return score


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A condition's side of a scorer."""

    gate: Floats  # [..., h]
    meant: Floats  # [..., r], of length 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Aims:
    """Conditions as the one-pass head judges against them; made once for an answer."""

    scored: Prepared
    near: Floats  # [conditions, width], of length 1


@dataclass(frozen=True, kw_only=True, eq=False)
class WordTerm:
    """Weights of the features of words, for a text of any length."""

    base: Floats  # [features]
    growth: Floats  # [features]
    length: float

    def of(self, words: Floats, count: int) -> Floats:
        """Return [...] of features [..., features] of a text of `count` tokens."""
        grown = np.float32(np.log(count))
        term: Floats = words @ (self.base + grown * self.growth) + grown * self.length
        return term


class ControlHead:
    """Weights of a head for one language model, ready for use.

    Raises ValueError for arrays that do not belong together.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Prepare arrays as `python -m workers.train text control` publishes them."""
        wide = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        _check(wide)
        self.width = wide["mean"].shape[1]
        self._mean, self._scale = wide["mean"], wide["scale"]  # [2, width] each
        self.one_pass = _scorer(wide, "")
        self.exact = _scorer(wide, "exact_")
        self._words, self._exact_words = (
            WordTerm(
                base=wide[f"{lead}words"][0],
                growth=wide[f"{lead}words"][1],
                length=float(wide[f"{lead}length"][0]),
            )
            for lead in ("", "exact_")
        )
        self._d, self._t = wide["d"], float(wide["t"][0])
        self._item = wide["item"]  # [width], mean of the conditions' normed states

    def condition(self, vector: Floats) -> Floats:
        """Return a condition's vector [..., 2 width], normed."""
        return self._normed(vector, (0, 1))

    def aims(self, conditions: Floats) -> Aims:
        """Return normed conditions [conditions, 2 width] for `log_chances`."""
        # An embedding and a state as the model's output head multiplies them, not normed.
        meant = (conditions[:, : self.width] - self._item) * self._scale[0]
        return Aims(scored=self.one_pass.prepared(conditions), near=unit(meant * self._d))

    def text(self, vector: Floats) -> Floats:
        """Return a text's vector [..., 3 width], normed."""
        return self._normed(vector, (0, 0, 1))

    def units(self, rows: Floats) -> Floats:
        """Return embeddings [m, width] as the features of words compare them."""
        return unit(rows - self._mean[1])

    def log_chances(
        self, text: Floats, aims: Aims, rows: Floats, words: Floats, count: int
    ) -> Floats:
        """Return [conditions, m]: log D for each token that may come next.

        Args:
            text: [3 width], normed.
            aims: the conditions.
            rows: [m, width], embeddings of the tokens.
            words: [conditions, m, features], with each token as the next one.
            count: tokens of the text, the next one included.
        """
        score = self.one_pass.score(text, aims.scored)  # [conditions]
        own = unit((rows - self._mean[1]) * self._d)  # [m, width]
        near = aims.near @ own.T  # [conditions, m]
        return log_sigmoid(score[:, None] + self._t * near + self._words.of(words, count))

    def exact_log_chance(
        self, text: Floats, conditions: Floats, words: Floats, count: int
    ) -> Floats:
        """Return [conditions]: log D of a text [3 width] whose last token was read.

        Its words, [conditions, features], and `count` include that token.
        """
        score = self.exact.score(text, self.exact.prepared(conditions))
        return log_sigmoid(score + self._exact_words.of(words, count))

    def _normed(self, vector: Floats, parts: tuple[int, ...]) -> Floats:
        mean = np.concatenate([self._mean[part] for part in parts])
        scale = np.concatenate([self._scale[part] for part in parts])
        normed: Floats = (vector - mean) / scale
        return normed


def unit(rows: Floats) -> Floats:
    """Return rows [..., width] of length 1."""
    lengths = np.sqrt(np.einsum("...i,...i->...", rows, rows))[..., None]
    unit: Floats = rows / np.maximum(lengths, 1e-6)
    return unit


def log_sigmoid(x: Floats) -> Floats:
    """Return log(1 / (1 + exp(-x))) without overflow."""
    return -np.logaddexp(np.float32(0), -x)


def _scorer(arrays: Mapping[str, Floats], lead: str) -> Scorer:
    return Scorer(
        a=arrays[f"{lead}a"],
        c=arrays[f"{lead}c"],
        a0=arrays[f"{lead}a0"],
        u=arrays[f"{lead}u"],
        u0=arrays[f"{lead}u0"],
        w=arrays[f"{lead}w"],
        w0=arrays[f"{lead}w0"],
        g=arrays[f"{lead}g"],
        k=float(arrays[f"{lead}k"][0]),
        s0=float(arrays[f"{lead}s0"][0]),
    )


def _check(arrays: Mapping[str, Floats]) -> None:
    """Raise ValueError for missing arrays and for shapes that do not belong together."""
    width = arrays["mean"].shape[-1] if "mean" in arrays else 0
    gate = len(arrays["g"]) if "g" in arrays else 0
    expected: dict[str, tuple[int, ...]] = {
        "mean": (2, width),
        "scale": (2, width),
        "d": (width,),
        "item": (width,),
        "t": (1,),
    }
    for lead in ("", "exact_"):
        rank = len(arrays[f"{lead}u0"]) if f"{lead}u0" in arrays else 0
        for size, text, item, vectors in (
            (gate, "a", "c", ("a0", "g")),
            (rank, "u", "w", ("u0", "w0")),
        ):
            expected[f"{lead}{text}"] = (size, 3 * width)
            expected[f"{lead}{item}"] = (size, 2 * width)
            expected |= {f"{lead}{name}": (size,) for name in vectors}
        expected |= {f"{lead}{name}": (1,) for name in ("k", "s0", "length")}
        expected[f"{lead}words"] = (2, FEATURES)
    got = {name: arrays[name].shape for name in expected if name in arrays}
    if got != expected:
        wrong = next(name for name in expected if got.get(name) != expected[name])
        raise ValueError(
            f"{wrong}: expected shape {expected[wrong]}, got {got.get(wrong)}; {_REMEDY}"
        )
