"""The embedded language model as a frozen reader of states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cost_models.text.words import Vocabulary
from search.text_model import CacheBudget, CachePolicy
from workers.llm import policies, weights
from workers.llm.decoder import Decoder
from workers.llm.kv_cache import KeyValueCache
from workers.llm.tokenizer import Tokenizer

_SLOTS = 1024


class EmbeddedReader:
    """Reads texts with the decoder that serves them. Raises ModelUnavailable."""

    def __init__(self) -> None:
        source = weights.embedded()
        config, loaded = weights.load(source, dtype=torch.bfloat16)
        self._tokenizer = Tokenizer(weights.model_folder(source))
        self.vocabulary = Vocabulary.of(self._tokenizer.texts())
        dtype = loaded.embedding.dtype
        cache = KeyValueCache(
            config, sequences=1, slots=_SLOTS, dtype=dtype, device=loaded.embedding.device
        )
        self.decoder = Decoder(config, loaded, cache)
        self.embedding: NDArray[np.float32] = loaded.embedding.float().numpy()
        self._rule = policies.resolve(
            CacheBudget(policy=CachePolicy.FULL, slots=0),
            pinned=[False] * _SLOTS,
            tokens=_SLOTS,
            limit=_SLOTS,
        )

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self._tokenizer.encode(text)

    def states(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return [T, width]: states before the output head, of a text read alone."""
        with torch.inference_mode():
            hidden = self.decoder.read(list(ids), 0, 0, [False] * len(ids), self._rule)
            self.decoder.cache.clear(0, _SLOTS)
        return hidden.numpy()

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return [T, width]: rows of the embedding."""
        return self.embedding[list(ids)]
