"""The control head as a torch module, in the arrays of `cost_models.text.head`."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


class ScorerNet(nn.Module):
    """Scores of texts against conditions: `cost_models.text.head.Scorer` with gradients."""

    def __init__(self, width: int, rank: int, dropout: float) -> None:
        super().__init__()
        self.a = nn.Linear(3 * width, rank)
        self.c = nn.Linear(2 * width, rank, bias=False)
        self.u = nn.Linear(3 * width, rank, bias=False)
        self.w = nn.Linear(2 * width, rank, bias=False)
        self.g = nn.Parameter(torch.zeros(rank))
        self.s0 = nn.Parameter(torch.full((1,), -1.0))  # a fourth of the pairs fit
        self._dropout = dropout

    def forward(self, text: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden values and scores.

        Shapes: (b, t, 3w), (b, k, 2w) -> (b, k, t, r), (b, k, t).
        """
        text = functional.dropout(text, self._dropout, self.training)
        condition = functional.dropout(condition, self._dropout, self.training)
        hidden = torch.tanh(self.a(text)[:, None] + self.c(condition)[:, :, None])
        rank = len(self.g)
        match = torch.einsum("btr,bkr->bkt", self.u(text), self.w(condition))
        return hidden, hidden @ self.g + match / math.sqrt(rank) + self.s0

    def arrays(self, lead: str) -> dict[str, np.ndarray]:
        """Return the weights by the names of the published file."""
        named = {
            "a": self.a.weight,
            "a0": self.a.bias,
            "c": self.c.weight,
            "u": self.u.weight,
            "w": self.w.weight,
            "g": self.g,
            "s0": self.s0,
        }
        return {
            f"{lead}{k}": v.detach().numpy().astype(np.float16) for k, v in named.items()
        }


class HeadNet(nn.Module):
    """One-pass head and exact form, trained on the same texts and sharing nothing but inputs."""

    def __init__(
        self,
        *,
        norms: NDArray[np.float32],
        vocabulary: int,
        rank: int,
        dropout: float,
    ) -> None:
        """Start from small random weights.

        norms: [2, 2, width]: mean and scale of states and of embeddings.
        """
        super().__init__()
        width = norms.shape[-1]
        self.register_buffer("norms", torch.from_numpy(norms.copy()))
        self.one_pass = ScorerNet(width, rank, dropout)
        self.exact = ScorerNet(width, rank, dropout)
        self.p = nn.Linear(width, rank, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def normed(self, vector: Tensor, parts: tuple[int, ...]) -> Tensor:
        """Return a concatenation of states (0) and embeddings (1), normed part by part."""
        mean = torch.cat([self.norms[0, part] for part in parts])
        scale = torch.cat([self.norms[1, part] for part in parts])
        return (vector - mean) / scale

    def forward(
        self, before: Tensor, after: Tensor, tokens: Tensor, rows: Tensor, items: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits of the one-pass head and of the exact form, (b, k, t) each.

        Shapes: before, after (b, t, 3w): text up to, and with, each token; tokens (b, t);
        rows (b, t, w): their embeddings; items (b, k, 2w).
        """
        condition = self.normed(items, (0, 1))
        hidden, score = self.one_pass(self.normed(before, (0, 0, 1)), condition)
        token = self.p(self.normed(rows, (1,)))
        logits = torch.einsum("bktr,btr->bkt", hidden, token) + score
        _, exact = self.exact(self.normed(after, (0, 0, 1)), condition)
        return logits + self.bias[tokens][:, None], exact

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights for `cost_models.text.head.ControlHead`, in half precision."""
        plain = {
            "mean": self.norms[0].numpy().astype(np.float32),
            "scale": self.norms[1].numpy().astype(np.float32),
            "p": self.p.weight.detach().numpy().astype(np.float16),
            "bias": self.bias.detach().numpy().astype(np.float16),
        }
        return plain | self.one_pass.arrays("") | self.exact.arrays("exact_")
