"""A decoder of a few numbers, with weights drawn by a seed."""

from __future__ import annotations

import math

import torch

from workers.llm.decoder_types import DecoderConfig, DecoderWeights, LayerWeights

CONFIG = DecoderConfig(
    architecture="llama",
    layers=2,
    width=24,
    feed_forward=32,
    heads=6,
    kv_heads=2,
    head_size=8,
    vocabulary=50,
    context_tokens=64,
    rope_theta=100.0,
    norm_eps=1e-5,
    tied_head=True,
    qkv_bias=True,
)


def random_model(seed: int) -> DecoderWeights:
    generator = torch.Generator().manual_seed(seed)

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])

    layers = tuple(
        LayerWeights(
            attention_norm=1 + 0.1 * matrix(CONFIG.width),
            # Queries and keys are large, so that attention is far from uniform.
            qkv=3 * matrix(10 * CONFIG.head_size, CONFIG.width),
            qkv_bias=0.1 * matrix(10 * CONFIG.head_size),
            attention_out=matrix(CONFIG.width, 6 * CONFIG.head_size),
            feed_forward_norm=1 + 0.1 * matrix(CONFIG.width),
            gate_up=matrix(2 * CONFIG.feed_forward, CONFIG.width),
            down=matrix(CONFIG.width, CONFIG.feed_forward),
        )
        for _ in range(CONFIG.layers)
    )
    embedding = matrix(CONFIG.vocabulary, CONFIG.width) * math.sqrt(CONFIG.width)
    return DecoderWeights(
        embedding=embedding,
        layers=layers,
        norm=1 + 0.1 * matrix(CONFIG.width),
        head=embedding,
    )
