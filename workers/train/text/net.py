"""The control head as a torch module, in the arrays of `cost_models.text.head`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cost_models.text.words import FEATURES


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Start of training: whitening maps, and the means of what they whiten."""

    states: Tensor  # [r_s, width], of normed states
    embeddings: Tensor  # [r_e, width], of normed embeddings
    text: Tensor  # [3 width], mean of normed texts
    item: Tensor  # [2 width], mean of normed items

    @property
    def rank(self) -> int:
        """Rank of the cosine; the gate g has as many values as there are `embeddings`."""
        return len(self.states) + len(self.embeddings)

    @classmethod
    def nothing(cls, width: int, *, rank: int, gate: int) -> Start:
        """Return a start of zeros."""
        return cls(
            states=torch.zeros(rank - gate, width),
            embeddings=torch.zeros(gate, width),
            text=torch.zeros(3 * width),
            item=torch.zeros(2 * width),
        )


class ScorerNet(nn.Module):
    """Scores of texts against conditions: `cost_models.text.head.Scorer` with gradients."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        width, rank, gate = start.states.shape[1], start.rank, len(start.embeddings)
        self.a = nn.Linear(3 * width, gate)
        self.c = nn.Linear(2 * width, gate, bias=False)
        self.u = nn.Linear(3 * width, rank)
        self.w = nn.Linear(2 * width, rank)
        self.g = nn.Parameter(torch.zeros(gate))
        self.k = nn.Parameter(torch.full((1,), 4.0))
        self.s0 = nn.Parameter(torch.full((1,), -2.0))  # a fourth of the pairs fit
        self._begin(start)

    def _begin(self, start: Start) -> None:
        """Begin with a cosine of whitened means: of states, and of embeddings."""
        width, some = start.states.shape[1], len(start.states)
        with torch.no_grad():
            for layer in (self.a, self.c):
                layer.weight.mul_(0.3)
            self.a.bias.zero_()
            for layer in (self.u, self.w):
                layer.weight.zero_()
            self.u.weight[:some, :width] += 0.3 * start.states
            self.u.weight[:some, width : 2 * width] += start.states
            self.u.weight[some:, 2 * width :] += start.embeddings
            self.w.weight[:some, :width] += start.states
            self.w.weight[some:, width:] += start.embeddings
            self.u.bias.copy_(-self.u.weight @ start.text)
            self.w.bias.copy_(-self.w.weight @ start.item)

    def forward(self, text: Tensor, condition: Tensor) -> Tensor:
        """Return scores. Shapes: (b, t, 3w), (b, k, 2w) -> (b, k, t)."""
        hidden = torch.tanh(self.a(text)[:, None] + self.c(condition)[:, :, None])
        states = functional.normalize(self.u(text), dim=-1)
        meant = functional.normalize(self.w(condition), dim=-1)
        match = torch.einsum("btr,bkr->bkt", states, meant)
        scores: Tensor = hidden @ self.g + self.k * match + self.s0
        return scores

    def named(self, lead: str) -> dict[str, Tensor]:
        """Return the weights by the names of the published file."""
        return {
            f"{lead}a": self.a.weight,
            f"{lead}a0": self.a.bias,
            f"{lead}c": self.c.weight,
            f"{lead}u": self.u.weight,
            f"{lead}u0": self.u.bias,
            f"{lead}w": self.w.weight,
            f"{lead}w0": self.w.bias,
            f"{lead}g": self.g,
            f"{lead}k": self.k,
            f"{lead}s0": self.s0,
        }


class WordTerm(nn.Module):
    """Weights of the features of words: `cost_models.text.head.WordTerm` with gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.zeros(2, FEATURES))
        self.length = nn.Parameter(torch.zeros(1))

    def forward(self, words: Tensor, count: Tensor) -> Tensor:
        """Return terms. Shapes: (b, k, t, features), (b, t) -> (b, k, t)."""
        grown = count.log()[:, None]  # (b, 1, t)
        base, growth = words @ self.words[0], words @ self.words[1]
        terms: Tensor = base + grown * (growth + self.length)
        return terms

    def named(self, lead: str) -> dict[str, Tensor]:
        """Return the weights by the names of the published file."""
        return {f"{lead}words": self.words, f"{lead}length": self.length}


class HeadNet(nn.Module):
    """One-pass head and exact form, trained on the same texts and sharing nothing but inputs."""

    def __init__(self, *, norms: NDArray[np.float32], start: Start) -> None:
        """Begin with a cosine.

        norms: [2, 2, width]: mean and scale of states and of embeddings.
        """
        super().__init__()
        width = norms.shape[-1]
        self.register_buffer("norms", torch.from_numpy(norms.copy()))
        self.one_pass = ScorerNet(start)
        self.exact = ScorerNet(start)
        self.words, self.exact_words = WordTerm(), WordTerm()
        self.d = nn.Parameter(torch.ones(width))
        self.t = nn.Parameter(torch.full((1,), 6.0))
        self.register_buffer("item", start.item[:width].clone())

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> HeadNet:
        """Return the net of published weights; what they lack is as before training."""
        norms = np.stack([arrays["mean"], arrays["scale"]]).astype(np.float32)
        rank, gate = len(arrays["u0"]), len(arrays["g"])
        start = Start.nothing(norms.shape[-1], rank=rank, gate=gate)
        net = cls(norms=norms, start=start)
        with torch.no_grad():
            for name, place in net.named().items():
                if name in arrays:
                    place.copy_(torch.from_numpy(np.asarray(arrays[name], np.float32)))
        return net.eval()

    def normed(self, vector: Tensor, parts: tuple[int, ...]) -> Tensor:
        """Return a concatenation of states (0) and embeddings (1), normed part by part."""
        mean = torch.cat([self.norms[0, part] for part in parts])
        scale = torch.cat([self.norms[1, part] for part in parts])
        return (vector - mean) / scale

    def forward(
        self,
        before: Tensor,
        after: Tensor,
        rows: Tensor,
        items: Tensor,
        words: Tensor,
        count: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return logits of the one-pass head and of the exact form, (b, k, t) each.

        Shapes: before, after (b, t, 3w): text up to, and with, each token; rows (b, t, w):
        embeddings of the tokens; items (b, k, 2w); words (b, k, t, features) and count (b, t):
        with each token.
        """
        condition = self.normed(items, (0, 1))
        score = self.one_pass(self.normed(before, (0, 0, 1)), condition)
        width = rows.shape[-1]
        own = (rows - self.norms[0, 1]) * self.d
        meant = (condition[..., :width] - self.item) * self.norms[1, 0] * self.d
        near = torch.einsum(
            "btw,bkw->bkt",
            functional.normalize(own, dim=-1),
            functional.normalize(meant, dim=-1),
        )
        exact = self.exact(self.normed(after, (0, 0, 1)), condition)
        return (
            score + self.t * near + self.words(words, count),
            exact + self.exact_words(words, count),
        )

    def named(self) -> dict[str, Tensor]:
        """Return the weights by the names of the published file."""
        own = {"d": self.d, "t": self.t, "item": self.item}
        scored = self.one_pass.named("") | self.exact.named("exact_")
        return own | scored | self.words.named("") | self.exact_words.named("exact_")

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights for `cost_models.text.head.ControlHead`, in half precision."""
        halves = {
            k: v.detach().numpy().astype(np.float16) for k, v in self.named().items()
        }
        plain = {"mean": self.norms[0].numpy(), "scale": self.norms[1].numpy()}
        return {k: v.astype(np.float32) for k, v in plain.items()} | halves
