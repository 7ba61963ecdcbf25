"""Cache of the language model's states: shards of texts, and one vector for each item.

The language model is frozen. Its states are read once by its own engine's decoder, so training sees
what a controller sees. Shard k depends on the sections, the seed and k alone; a shard is written
whole, so an interrupted run resumes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from cost_models.text.head import condition_tokens, condition_vector
from workers.train.text.passages import Part, Section
from workers.train.text.texts import Drawer

SIZE = 250  # texts of a shard
_ITEMS_A_SHARD = 500
PARTS: tuple[Part, ...] = ("test", "valid", "train")
_STREAMS = {"train": 0, "valid": 1, "test": 2}


class Reader(Protocol):
    """A frozen language model."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...

    def states(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return [T, width]: states before the output head."""
        ...

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return [T, width]: rows of the embedding."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class States:
    """Texts of one part with the model's states. Values per token are flat, text after text.

    A text's tokens begin one before its prefix where it has a lead, so that every token of prefix
    and completion has a state before it.
    """

    ids: NDArray[np.int32]  # [N]
    states: NDArray[np.float16]  # [N, width], after reading the token
    first: NDArray[np.int64]  # [n + 1]
    # [n], of the first token of the completion, within the text
    boundary: NDArray[np.int32]
    prefix_item: NDArray[np.int32]  # [n]
    item: NDArray[np.int32]  # [n]

    def __len__(self) -> int:
        return len(self.boundary)

    def text(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
        """Return the ids [T] and states [T, width] of a text."""
        span = slice(int(self.first[number]), int(self.first[number + 1]))
        return self.ids[span], self.states[span]


def make_states(
    found: Sequence[Section],
    reader: Reader,
    folder: Path,
    *,
    counts: dict[Part, int],
    seed: int,
    say: Callable[[str], object],
) -> None:
    """Read what is missing: all items, then the texts of each part."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(found), _ITEMS_A_SHARD):
        path = folder / f"items-{start // _ITEMS_A_SHARD:03d}.safetensors"
        if not path.is_file():
            rows = [
                read_item(reader, section.item)
                for section in found[start : start + _ITEMS_A_SHARD]
            ]
            _write(path, {"items": np.stack(rows).astype(np.float32)})
            say(f"items {start + len(rows)} of {len(found)}")
    for part in PARTS:
        drawer = Drawer(found, part, reader.encode)
        shards = -(-counts[part] // SIZE)
        for shard in range(shards):
            path = folder / f"{part}-{shard:03d}.safetensors"
            if path.is_file():
                continue
            rng = np.random.default_rng([seed, _STREAMS[part], shard])
            count = min(SIZE, counts[part] - shard * SIZE)
            _write(path, _shard(drawer, reader, rng, count))
            say(f"{part} shard {shard + 1} of {shards}")


def read_item(reader: Reader, text: str) -> NDArray[np.float32]:
    """Return [2 width]: the vector of a condition, as the controller makes it at use."""
    lead, ids = condition_tokens(reader.encode, text)
    states = reader.states([*lead, *ids])[len(lead) :]
    return condition_vector(states, reader.embeddings(ids))


def load_items(folder: Path) -> NDArray[np.float32]:
    """Return [sections, 2 width]."""
    paths = sorted(folder.glob("items-*.safetensors"))
    return np.concatenate([load_file(path)["items"] for path in paths])


def load_states(folder: Path, part: Part) -> States:
    """Return the finished texts of a part."""
    shards = [load_file(path) for path in sorted(folder.glob(f"{part}-*.safetensors"))]
    lengths = np.concatenate([np.diff(shard["first"]) for shard in shards])
    joined: dict[str, Any] = {
        name: np.concatenate([shard[name] for shard in shards])
        for name in ("ids", "states", "boundary", "prefix_item", "item")
    }
    return States(**joined, first=np.concatenate([[0], np.cumsum(lengths)]))


def _shard(
    drawer: Drawer, reader: Reader, rng: np.random.Generator, count: int
) -> dict[str, np.ndarray]:
    texts = [drawer.draw(rng) for _ in range(count)]
    ids, states, boundaries = [], [], []
    for text in texts:
        start = max(0, len(text.lead) - 1)
        whole = [*text.lead, *text.prefix, *text.completion]
        ids.append(np.array(whole[start:], np.int32))
        states.append(reader.states(whole)[start:].astype(np.float16))
        boundaries.append(len(text.lead) + len(text.prefix) - start)
    first = np.cumsum([0, *(len(row) for row in ids)])
    return {
        "ids": np.concatenate(ids),
        "states": np.concatenate(states),
        "first": first.astype(np.int64),
        "boundary": np.array(boundaries, np.int32),
        "prefix_item": np.array([text.prefix_item for text in texts], np.int32),
        "item": np.array([text.item for text in texts], np.int32),
    }


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    part = path.with_suffix(".part")
    save_file(arrays, part)
    os.replace(part, path)
