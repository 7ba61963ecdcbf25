"""Shape and weights of a decoder of the llama family, whatever file they came from."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Shape of a decoder: llama, qwen2 and mistral without sliding window."""

    architecture: str  # "llama", "qwen2", "mistral"
    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context_tokens: int
    rope_theta: float
    norm_eps: float
    tied_head: bool
    qkv_bias: bool = False
    # Parameters of llama3's scaling by name; empty: none.
    rope_scaling: tuple[tuple[str, float], ...] = ()

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.kv_heads


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """Weights of one layer, [out, in], in the layout of Hugging Face (rotate-half)."""

    attention_norm: torch.Tensor
    qkv: torch.Tensor
    """[(heads + 2 kv_heads) head_size, width]: queries, keys, values, one after another."""
    qkv_bias: torch.Tensor | None
    attention_out: torch.Tensor
    feed_forward_norm: torch.Tensor
    gate_up: torch.Tensor
    """[2 feed_forward, width]: gate, then up."""
    down: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class DecoderWeights:
    """All weights of a decoder."""

    embedding: torch.Tensor
    """[vocabulary, width]."""
    layers: tuple[LayerWeights, ...]
    norm: torch.Tensor
    head: torch.Tensor
    """[vocabulary, width]; the embedding itself when tied."""
