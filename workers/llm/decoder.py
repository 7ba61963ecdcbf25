"""Forward pass of llama, qwen2 and mistral over a slot cache: decode steps and prompt chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as functional

from cuda.kernels.decoder_step import DecoderStep, PackedLayer
from cuda.kernels.h2o_decode import h2o_decode
from cuda.kernels.packed import Form, PackedMatrix
from workers.llm import policies
from workers.llm.decoder_types import DecoderConfig, DecoderWeights, LayerWeights
from workers.llm.kv_cache import KeyValueCache
from workers.llm.linear import Dense, Linear, packs
from workers.llm.policies import Rule
from workers.llm.prefill import attend_chunk

_Make = Callable[[torch.Tensor, torch.Tensor | None], Linear]


class Decoder:
    """A decoder and the slots of its sequences. The residual stream is fp32."""

    def __init__(
        self,
        config: DecoderConfig,
        weights: DecoderWeights,
        cache: KeyValueCache,
        *,
        packed: bool | None = None,
        form: Form | None = None,
        deterministic: bool = False,
    ) -> None:
        """Prepare weights.

        Args:
            config: shape of the weights.
            weights: kept as they are, or packed and not kept but for the embedding.
            cache: of the sequences.
            packed: whether a decode step is one native call with packed weights; None: `packs`.
            form: of packed weights; None: 4 bits where they restore the weights, else 8.
            deterministic: run the sequences of a decode step one after another, so that no result
                depends on the sequences beside it.
        """
        self.config = config
        self.cache = cache
        self._deterministic = deterministic
        self._embedding = weights.embedding
        self._norm = weights.norm.float()
        if packs(weights.head) if packed is None else packed:
            make: _Make = partial(PackedMatrix.pack, form=form)
        else:
            make = Dense
        self._layers = [_Layer(config, layer, make) for layer in weights.layers]
        self._head = make(weights.head, None)
        self._step: DecoderStep | None = None
        if make is not Dense:
            self._step = self._native_step()
            # A copy, so that the file of all weights is not held in memory for its sake.
            self._embedding = weights.embedding.clone()
        self._frequencies = _frequencies(config).to(weights.embedding.device)

    def _native_step(self) -> DecoderStep:
        return DecoderStep(
            [layer.packed() for layer in self._layers],
            self._norm,
            self.cache.layers,
            heads=self.config.heads,
            norm_eps=self.config.norm_eps,
        )

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._frequencies.device

    def embeddings(self, ids: Sequence[int]) -> torch.Tensor:
        """Return [T, width] rows of the embedding, float32."""
        return self._embedding[torch.tensor(list(ids), device=self.device)].float()

    def decode(
        self,
        ids: Sequence[int],
        rows: Sequence[int],
        steps: Sequence[int],
        rules: Sequence[Rule],
    ) -> torch.Tensor:
        """Append one token to each of A sequences.

        Args:
            ids: [A] tokens.
            rows: [A] rows of the cache, all different.
            steps: [A] true positions of the tokens.
            rules: [A].

        Returns:
            [A, width] float32, normed: what the output head takes.
        """
        if self._deterministic and len(ids) > 1:
            each = zip(ids, rows, steps, rules, strict=True)
            return torch.cat([self.decode([i], [r], [s], [u]) for i, r, s, u in each])
        device = self.device
        x = self.embeddings(ids)  # [A, width]
        at = torch.tensor(steps, dtype=torch.int32, device=device)
        row = torch.tensor(rows, device=device)
        cos, sin = self._angles(at)
        if any(rule.layers for rule in rules):
            return self._decode_layered(x, cos, sin, row, at, rules)
        eviction = policies.rows(tuple(rules), device)
        if self._step is not None:
            return self._step(x, cos[:, 0], sin[:, 0], row, at, eviction)
        for layer, cache in zip(self._layers, self.cache.layers, strict=True):
            query, key, value = layer.project(x, cos, sin)
            mixed = h2o_decode(query, key, value, cache, row, at, eviction)
            x = layer.finish(x, mixed.flatten(1))
        return self._normed(x)

    def _decode_layered(
        self,
        x: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        row: torch.Tensor,
        at: torch.Tensor,
        rules: Sequence[Rule],
    ) -> torch.Tensor:
        """Append one token to each sequence, layers with rules of their own; as `decode`."""

        def attend(
            layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
        ) -> torch.Tensor:
            eviction = policies.rows(tuple(rule.at(layer) for rule in rules), self.device)
            cache = self.cache.layers[layer]
            return h2o_decode(query, key, value, cache, row, at, eviction)

        if self._step is not None:
            return self._step.read(x, cos[:, 0], sin[:, 0], attend)
        for number, layer in enumerate(self._layers):
            mixed = attend(number, *layer.project(x, cos, sin))
            x = layer.finish(x, mixed.flatten(1))
        return self._normed(x)

    def read(
        self,
        ids: Sequence[int],
        row: int,
        first: int,
        pinned: Sequence[bool],
        rule: Rule,
    ) -> torch.Tensor:
        """Append a chunk of tokens to one sequence.

        Args:
            ids: [T] tokens.
            row: of the sequence.
            first: true position of the first of them.
            pinned: [T], tokens that never leave the cache.
            rule: of the sequence.

        Returns:
            [T, width] float32, normed.
        """
        device = self.device
        x = self.embeddings(ids)  # [T, width]
        pins = torch.tensor(pinned, dtype=torch.bool, device=device)
        cos, sin = self._angles(torch.arange(first, first + len(ids), device=device))

        def attend(
            layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
        ) -> torch.Tensor:
            mixed = attend_chunk(
                query.permute(1, 2, 0, 3),
                key.transpose(0, 1),
                value.transpose(0, 1),
                self.cache.layers[layer],
                row,
                first,
                pins,
                rule.at(layer),
            )  # [KV, G, T, D]
            return mixed.permute(2, 0, 1, 3)

        if self._step is not None:
            return self._step.read(x, cos[:, 0], sin[:, 0], attend)
        for number, layer in enumerate(self._layers):
            query, key, value = layer.project(x, cos, sin)
            x = layer.finish(x, attend(number, query, key, value).flatten(1))
        return self._normed(x)

    def logits(
        self, hidden: torch.Tensor, allowed: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return [A, vocabulary] float32, or [A, m] for the m tokens of `allowed`."""
        if self._deterministic and len(hidden) > 1:
            return torch.cat([self.logits(row, allowed) for row in hidden.split(1)])
        return self._head(hidden) if allowed is None else self._head.some(hidden, allowed)

    def _normed(self, x: torch.Tensor) -> torch.Tensor:
        """Return RMS-normed rows."""
        return functional.rms_norm(
            x, (self.config.width,), self._norm, self.config.norm_eps
        )

    def _angles(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosines and sines [A, 1, D / 2] of true positions [A]."""
        angle = positions[:, None].float() * self._frequencies
        return angle.cos()[:, None], angle.sin()[:, None]


class _Layer:
    """One layer: fused query-key-value and gate-up projections."""

    def __init__(self, config: DecoderConfig, weights: LayerWeights, make: _Make) -> None:
        self._config = config
        self._attention_norm = weights.attention_norm.float()
        self._feed_forward_norm = weights.feed_forward_norm.float()
        self._qkv = make(weights.qkv, weights.qkv_bias)
        self._out = make(weights.attention_out, None)
        self._gate_up = make(weights.gate_up, None)
        self._down = make(weights.down, None)

    def packed(self) -> PackedLayer:
        """Return the layer for a native step; its projections are packed."""
        projections = (self._qkv, self._out, self._gate_up, self._down)
        matrices = [one for one in projections if isinstance(one, PackedMatrix)]
        qkv, out, gate_up, down = matrices
        return PackedLayer(
            attention_norm=self._attention_norm,
            qkv=qkv,
            attention_out=out,
            feed_forward_norm=self._feed_forward_norm,
            gate_up=gate_up,
            down=down,
        )

    def project(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return queries [A, KV, G, D], keys and values [A, KV, D], rotated."""
        config = self._config
        normed = functional.rms_norm(
            x, (config.width,), self._attention_norm, config.norm_eps
        )
        mixed = self._qkv(normed).view(len(x), -1, config.head_size)
        turned = config.heads + config.kv_heads
        first, second = mixed[:, :turned].chunk(2, -1)
        rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        query = rotated[:, : config.heads].reshape(
            len(x), config.kv_heads, config.group, config.head_size
        )
        return query, rotated[:, config.heads :], mixed[:, turned:]

    def finish(self, x: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """Return the residual stream [A, width] after attention's output and the feed-forward."""
        config = self._config
        x = x + self._out(mixed)
        normed = functional.rms_norm(
            x, (config.width,), self._feed_forward_norm, config.norm_eps
        )
        gate, up = self._gate_up(normed).chunk(2, -1)
        return x + self._down(functional.silu(gate) * up)


def _frequencies(config: DecoderConfig) -> torch.Tensor:
    """Return [D / 2] rotary frequencies, with llama3's scaling where the model has it."""
    exponent = torch.arange(0, config.head_size, 2).float() / config.head_size
    frequency = 1.0 / config.rope_theta**exponent
    scaling = dict(config.rope_scaling)
    if not scaling:
        return frequency
    factor = scaling["factor"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    trained = scaling["original_max_position_embeddings"]
    turns = trained * frequency / (2 * math.pi)  # of the trained context
    share = ((turns - low) / (high - low)).clamp(0, 1)
    return frequency * (share + (1 - share) / factor)
