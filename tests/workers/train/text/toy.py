"""Sections about a few words each, and a language model whose states are those words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cost_models.text.words import Vocabulary
from workers.train.text.passages import Section

WIDTH, WORDS = 12, 60


def toy_sections(documents: int = 60, sections: int = 3) -> list[Section]:
    """Return sections whose sentences repeat four words of their own beside common ones."""
    rng = np.random.default_rng(0)
    made = []
    for document in range(documents):
        for _ in range(sections):
            own = rng.integers(20, WORDS, 4)
            said = [
                " ".join(
                    f"w{word}" for word in (*rng.choice(own, 5), *rng.integers(0, 20, 2))
                )
                for _ in range(8)
            ]
            made.append(
                Section(
                    package="toy",
                    document=f"page{document}",
                    item=" ".join(f"w{word}" for word in own),
                    sentences=tuple(said),
                )
            )
    return made


class ToyReader:
    """Token i is word `wi`; the state after it is its embedding with a little noise."""

    def __init__(self) -> None:
        self.embedding: NDArray[np.float32] = (
            np.random.default_rng(1).standard_normal((WORDS, WIDTH)).astype(np.float32)
        )
        self.vocabulary = Vocabulary.of([f" w{i}" for i in range(WORDS)])
        self.read = 0

    def encode(self, text: str) -> list[int]:
        words = (word.strip("{}:.,") for word in text.split())
        return [
            int(word[1:])
            if word[:1] == "w" and word[1:].isdigit()
            else hashlib.sha256(word.encode()).digest()[0] % 20
            for word in words
        ]

    def states(self, ids: Sequence[int]) -> NDArray[np.float32]:
        self.read += 1
        noise = np.random.default_rng(list(ids)).standard_normal((len(ids), WIDTH))
        return (self.embedding[list(ids)] + 0.1 * noise).astype(np.float32)

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        return self.embedding[list(ids)]
