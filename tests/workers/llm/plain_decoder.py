"""A decoder that reads like the paper: one token at a time, one list of tokens per head.

It shares no code with the engine: no slots, no fused weights, no batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from search.text_model import CachePolicy
from workers.llm.decoder_types import DecoderConfig, DecoderWeights, LayerWeights
from workers.llm.policies import Rule


@dataclass(kw_only=True)
class Entry:
    """A token that a head remembers."""

    position: int
    key: torch.Tensor
    value: torch.Tensor
    pinned: bool
    score: float = 0.0
    newest: float = 0.0


@dataclass(kw_only=True)
class Head:
    """A key-value head of a layer."""

    entries: list[Entry] = field(default_factory=list)
    victim: Entry | None = None
    victims: list[int] = field(default_factory=list)  # positions, in order of eviction


class PlainDecoder:
    """Logits and victims of one sequence under a rule."""

    def __init__(
        self, config: DecoderConfig, weights: DecoderWeights, rule: Rule
    ) -> None:
        self.config = config
        self.weights = weights
        self.rule = rule
        self.heads = [[Head() for _ in range(config.kv_heads)] for _ in weights.layers]

    def run(self, ids: Sequence[int], pinned: Sequence[bool] = ()) -> torch.Tensor:
        """Return [T, vocabulary] logits."""
        pins = [*pinned, *[False] * (len(ids) - len(pinned))]
        return torch.stack([self._token(i, t, pins[t]) for t, i in enumerate(ids)])

    def _token(self, token: int, step: int, pin: bool) -> torch.Tensor:
        x = self.weights.embedding[token].float()
        for layer, heads in zip(self.weights.layers, self.heads, strict=True):
            x = x + self._attention(
                self._norm(x, layer.attention_norm), layer, heads, step, pin
            )
            normed = self._norm(x, layer.feed_forward_norm)
            gate, up = layer.gate_up.float().split(self.config.feed_forward)
            inner = gate @ normed
            x = x + layer.down.float() @ (inner * torch.sigmoid(inner) * (up @ normed))
        return self.weights.head.float() @ self._norm(x, self.weights.norm)

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean() + self.config.norm_eps).sqrt() * weight

    def _rotate(self, x: torch.Tensor, step: int) -> torch.Tensor:
        """Rotate pairs (d, d + D / 2), each by its own angle."""
        half = self.config.head_size // 2
        angles = [
            step * self.config.rope_theta ** (-2 * d / self.config.head_size)
            for d in range(half)
        ]
        # A pair is a complex number, and its rotation a factor.
        pair = torch.complex(x[:half], x[half:])
        turn = torch.polar(torch.ones(half), torch.tensor(angles))
        turned = pair * turn
        return torch.cat([turned.real, turned.imag])

    def _attention(
        self,
        x: torch.Tensor,
        layer: LayerWeights,
        heads: list[Head],
        step: int,
        pin: bool,
    ) -> torch.Tensor:
        config = self.config
        size, group = config.head_size, config.group
        mixed = layer.qkv.float() @ x
        if layer.qkv_bias is not None:
            mixed = mixed + layer.qkv_bias.float()
        parts = list(mixed.split(size))
        queries, keys, values = (
            parts[: config.heads],
            parts[config.heads : config.heads + config.kv_heads],
            parts[config.heads + config.kv_heads :],
        )
        outs: list[torch.Tensor] = []
        for h, head in enumerate(heads):
            if head.victim is not None:
                head.victims.append(head.victim.position)
                head.entries.remove(head.victim)
                head.victim = None
            head.entries.append(
                Entry(
                    position=step,
                    key=self._rotate(keys[h], step),
                    value=values[h],
                    pinned=pin,
                )
            )
            for entry in head.entries:
                entry.score = entry.score * self.rule.decay
                entry.newest = 0.0
            for query in queries[h * group : (h + 1) * group]:
                turned = self._rotate(query, step)
                logits = torch.stack([turned @ e.key for e in head.entries]) / size**0.5
                weight = torch.softmax(logits, 0)
                outs.append(
                    sum(w * e.value for w, e in zip(weight, head.entries, strict=True))
                )
                for w, entry in zip(weight, head.entries, strict=True):
                    entry.score = entry.score + w
                    entry.newest = entry.newest + w
            if (
                len(head.entries) >= self.rule.capacity
                and self.rule.policy != CachePolicy.FULL
            ):
                head.victim = self._victim(head.entries, step)
        return layer.attention_out.float() @ torch.cat(outs)

    def _victim(self, entries: list[Entry], step: int) -> Entry:
        rule = self.rule
        free = [
            e
            for e in entries
            if e.position <= step - rule.recent
            and e.position >= rule.sinks
            and not e.pinned
        ]
        rank = {
            "AGE": lambda e: e.position,
            "SUM": lambda e: e.score,
            "DECAY": lambda e: e.score,
            "MEAN": lambda e: e.score / (step - e.position + 1),
            "LAST": lambda e: e.newest,
        }[rule.victim.name]
        return min(free, key=lambda e: (rank(e), e.position))
