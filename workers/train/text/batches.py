"""Batches of cached texts: descriptions before and after each labelled token, and judged items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cost_models.text.head import DECAY, condition_tokens, unit
from cost_models.text.words import FEATURES, Tokens, Vocabulary, course, different
from workers.train.text.net import Start
from workers.train.text.passages import Part, Section
from workers.train.text.states import States
from workers.train.text.texts import COMPLETION_TOKENS, Drawer, Judged, judged

_WHITENED = 20_000  # tokens that the whitening is measured on
Rows = Callable[[NDArray[np.int32]], NDArray[np.float32]]
"""Tokens -> [T, width] rows of the embedding."""


class Embedded(Protocol):
    """A language model's tokens."""

    @property
    def embedding(self) -> NDArray[np.float32]:
        """[vocabulary, width]."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Words that tokens are forms of."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Texts of one batch. `t` counts tokens of the completion, padded; `k` judged items."""

    before: Tensor  # (b, t, 3w)
    after: Tensor  # (b, t, 3w)
    rows: Tensor  # (b, t, w)
    items: Tensor  # (b, k, 2w)
    words: Tensor  # (b, k, t, features) of `cost_models.text.words`, the token included
    count: Tensor  # (b, t), tokens of the text, from where its means begin
    labels: Tensor  # (b, k)
    hard: Tensor  # (b, k): judged against the item of prefix or completion of a spliced text
    near: Tensor  # (b, k): another item of the completion's document
    weight: Tensor  # (b, k, t): 1 where a token and an item are there

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Return what the net takes."""
        return (
            self.before,
            self.after,
            self.rows,
            self.items,
            self.words,
            self.count,
        )

    def at(self, places: Tensor) -> Batch:
        """Return the batch with these tokens alone."""
        return Batch(
            before=self.before[:, places],
            after=self.after[:, places],
            rows=self.rows[:, places],
            items=self.items,
            words=self.words[:, :, places],
            count=self.count[:, places],
            labels=self.labels,
            hard=self.hard,
            near=self.near,
            weight=self.weight[:, :, places],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """Cached texts of one part with what batches need beside them."""

    states: States
    items: NDArray[np.float32]  # [sections, 2 width]
    words: Sequence[Tokens]  # of each section's item
    embedding: NDArray[np.float32]  # [vocabulary, width]
    vocabulary: Vocabulary
    center: NDArray[np.float32]  # [width], mean embedding of the trained texts
    drawer: Drawer

    @classmethod
    def of(
        cls,
        states: States,
        items: NDArray[np.float32],
        reader: Embedded,
        found: Sequence[Section],
        part: Part,
        *,
        center: NDArray[np.float32],
    ) -> Texts:
        """Return the texts of a part."""

        def words(section: Section) -> Tokens:
            _, ids = condition_tokens(reader.encode, section.item)
            own = unit(reader.embedding[ids] - center)
            return different(reader.vocabulary.tokens(ids, own))

        return cls(
            states=states,
            items=items,
            words=[words(section) for section in found],
            embedding=reader.embedding,
            vocabulary=reader.vocabulary,
            center=center,
            drawer=Drawer(found, part, lambda _: ()),
        )

    def rows(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return [T, width] rows of the embedding."""
        rows: NDArray[np.float32] = self.embedding[ids]
        return rows

    def tokens(self, ids: NDArray[np.int32]) -> Tokens:
        """Return tokens for features of words."""
        return self.vocabulary.tokens(ids, unit(self.rows(ids) - self.center))

    def pairs(self, number: int, rng: np.random.Generator) -> list[Judged]:
        """Return the items that a text is judged against."""
        ends = {
            "prefix_item": int(self.states.prefix_item[number]),
            "item": int(self.states.item[number]),
        }
        return judged(self.drawer, ends, rng)


def batches(
    texts: Texts,
    numbers: Sequence[int],
    rng: np.random.Generator,
    *,
    size: int,
    from_boundary: float = 0.5,
    share: float = 1.0,
    strangers: int = 0,
) -> Iterator[Batch]:
    """Yield batches of `numbers` in their order.

    from_boundary: share of texts whose running means begin with the completion, as those of an
        answer do; the others begin with the prefix, as when an answer drifts.
    share: of the labelled tokens, drawn for each batch.
    strangers: items of other documents beside the judged ones, all of them worth as much as two.
    """
    for start in range(0, len(numbers), size):
        chosen = numbers[start : start + size]
        begins = rng.random(len(chosen)) < from_boundary
        whole = batch(texts, chosen, begins, rng, strangers=strangers)
        count = round(share * COMPLETION_TOKENS)
        places = torch.from_numpy(np.sort(rng.permutation(COMPLETION_TOKENS)[:count]))
        yield whole if share == 1 else whole.at(places)


def batch(
    texts: Texts,
    numbers: Sequence[int],
    begins: Sequence[bool] | NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    strangers: int = 0,
) -> Batch:
    """Return one batch; `begins` says whose means begin with the completion."""
    judged_items = 4 + strangers
    width = texts.items.shape[1] // 2
    size, most = len(numbers), COMPLETION_TOKENS
    before = np.zeros((size, most, 3 * width), np.float32)
    after = np.zeros_like(before)
    rows = np.zeros((size, most, width), np.float32)
    items = np.zeros((size, judged_items, 2 * width), np.float32)
    words = np.zeros((size, judged_items, most, FEATURES), np.float32)
    count = np.ones((size, most), np.float32)
    labels = np.zeros((size, judged_items), np.float32)
    hard, near = np.zeros((2, size, judged_items), np.bool_)
    weight = np.zeros((size, judged_items, most), np.float32)
    for i, (number, begin) in enumerate(zip(numbers, begins, strict=True)):
        ids, states = texts.states.text(number)
        boundary = int(texts.states.boundary[number])
        embedded = texts.rows(ids)
        whole = described(states, embedded, boundary - 1 if begin else 0)
        length = len(ids) - boundary
        before[i, :length] = whole[boundary - 1 : -1]
        after[i, :length] = whole[boundary:]
        rows[i, :length] = embedded[boundary:]
        first = boundary if begin else 0
        count[i, :length] = np.arange(boundary - first, len(ids) - first) + 1
        read = texts.tokens(ids[first:])
        pairs = texts.pairs(number, rng)
        numbered = [*enumerate(row.item for row in pairs)]
        for k, row in enumerate(pairs):
            labels[i, k], hard[i, k], near[i, k] = row.label, row.hard, row.near
            weight[i, k, :length] = 1
        for k in range(4, judged_items):
            own = int(texts.states.item[number])
            numbered.append((k, texts.drawer.other(own, rng, same_document=False)))
            weight[i, k, :length] = 2 / strangers
        for k, item in numbered:
            items[i, k] = texts.items[item]
            words[i, k, :length] = course(read, texts.words[item])[boundary - first :]
    arrays = {
        "before": before,
        "after": after,
        "rows": rows,
        "items": items,
        "words": words,
        "count": count,
        "labels": labels,
        "hard": hard,
        "near": near,
        "weight": weight,
    }
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def described(
    states: NDArray[np.float16], embedded: NDArray[np.float32], first: int
) -> NDArray[np.float32]:
    """Return [T, 3 width]: `Trace.vector` after each token, with means from token `first` on."""
    length = len(states)
    age = np.arange(length)[:, None] - np.arange(length)[None]
    weight = np.where(
        (age >= 0) & (np.arange(length) >= first), DECAY ** age.clip(0), 0.0
    )
    total = weight.sum(1, keepdims=True)
    weight = (weight / np.where(total > 0, total, 1.0)).astype(np.float32)
    wide = states.astype(np.float32)
    return np.concatenate([wide, weight @ wide, weight @ embedded], 1)


def start(texts: Texts, norms: NDArray[np.float32], rank: int) -> Start:
    """Return where training begins: three fourths of the rank for states, one for embeddings."""
    states = texts.states
    rng = np.random.default_rng(0)
    some = rng.choice(len(states.ids), min(_WHITENED, len(states.ids)), replace=False)
    wide = (states.states[some].astype(np.float32) - norms[0, 0]) / norms[1, 0]
    rows = (texts.rows(states.ids[some]) - norms[0, 1]) / norms[1, 1]
    mean = norms[0][[0, 1]].reshape(-1)
    item = (texts.items.mean(0) - mean) / norms[1][[0, 1]].reshape(-1)
    own = rank - rank // 4
    return Start(
        states=torch.from_numpy(_whitening(wide, own)),
        embeddings=torch.from_numpy(_whitening(rows, rank - own)),
        text=torch.zeros(3 * wide.shape[1]),  # normed texts have mean 0
        item=torch.from_numpy(item.astype(np.float32)),
    )


def _whitening(values: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """Return [rank, width]: directions of most variance, scaled to equal variance."""
    variance, directions = np.linalg.eigh(np.cov(values.T))
    variance, directions = variance[::-1][:rank], directions[:, ::-1][:, :rank]
    scaled = directions / np.sqrt(variance + 1e-3 * variance[0])
    return np.ascontiguousarray(scaled.T.astype(np.float32))


def mean_embedding(states: States, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [width]: mean embedding of the tokens of all texts."""
    counts = np.bincount(states.ids, minlength=len(embedding)).astype(np.float32)
    mean: NDArray[np.float32] = counts @ embedding / counts.sum()
    return mean


def norms(states: States, rows: Rows) -> NDArray[np.float32]:
    """Return [2, 2, width]: mean and scale of the states and of the embeddings of all texts."""
    wide = states.states.astype(np.float32)
    embedded = rows(states.ids)
    means = np.stack([wide.mean(0), embedded.mean(0)])
    scales = np.stack([wide.std(0), embedded.std(0)])
    return np.stack([means, scales + 1e-6]).astype(np.float32)
