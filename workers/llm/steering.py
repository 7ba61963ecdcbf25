"""Control inside an engine: conditions of a request become terms on the logits of its tokens."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cost_models.text.head import (
    Aims,
    ControlHead,
    Trace,
    condition_tokens,
    condition_vector,
)
from cost_models.text.words import Said, Tokens, Vocabulary, different
from search.condition import Condition
from search.control import REACH, controlled, faults, likeliest
from search.text_model import TextModelError

_MAX_TOKENS = 256
_KEPT = 256  # vectors of conditions
States = Callable[[Sequence[int]], torch.Tensor]
"""Tokens of a text that is read alone -> [T, width] states before the output head."""
Embeddings = Callable[[Sequence[int]], torch.Tensor]
"""Tokens -> [T, width]."""


class Steering:
    """Control of one language model. One for each engine; its thread alone calls `Guide`s."""

    def __init__(
        self,
        head: ControlHead,
        encode: Callable[[str], Sequence[int]],
        texts: Callable[[], Sequence[str]],
        endings: Collection[int],
    ) -> None:
        """Use `head` with the model's tokenizer.

        Args:
            head: of the model.
            encode: text → tokens.
            texts: the texts of all tokens in their order; called before the first condition.
            endings: tokens that end an answer.
        """
        self.head = head
        self._encode = encode
        self._texts = texts
        self.endings = np.array(sorted(endings), np.int64)
        self._known: OrderedDict[str, tuple[NDArray[np.float32], Tokens]] = OrderedDict()

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """Return what is known of the model's tokens."""
        return Vocabulary.of(self._texts())

    def guide(self, conditions: Sequence[Condition]) -> Guide | None:
        """Return the control of one answer, None without a strength above 0.

        Raises TextModelError for conditions out of their range.
        """
        if (fault := faults(conditions)) is not None:
            raise TextModelError(fault)
        tokens = {}
        for number, condition in enumerate(conditions):
            lead, ids = condition_tokens(self._encode, condition.text)
            if len(ids) > _MAX_TOKENS:
                raise TextModelError(
                    f"control[{number}].text: expected at most {_MAX_TOKENS} tokens, got "
                    f"{len(ids)}; shorten it"
                )
            tokens[condition.text] = (lead, ids)
        strong = [condition for condition in conditions if condition.strength > 0]
        return Guide(self, strong, tokens) if strong else None

    def read(
        self,
        text: str,
        ids: tuple[list[int], list[int]],
        states: States,
        embed: Embeddings,
    ) -> tuple[NDArray[np.float32], Tokens]:
        """Return a condition's normed vector and its words, read by the model unless lately."""
        if text not in self._known:
            lead, own = ids
            read = states([*lead, *own])[len(lead) :]
            rows = _array(embed(own))
            vector = self.head.condition(condition_vector(_array(read), rows))
            self._known[text] = vector, different(self.tokens(own, rows))
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return self._known[text]

    def tokens(
        self, ids: Sequence[int] | NDArray[np.int64], rows: NDArray[np.float32]
    ) -> Tokens:
        """Return tokens with their embeddings [m, width] for features of words."""
        return self.vocabulary.tokens(ids, self.head.units(rows))


class Guide:
    """Control of one answer: its conditions, and the answer so far."""

    def __init__(
        self,
        steering: Steering,
        conditions: Sequence[Condition],
        tokens: dict[str, tuple[list[int], list[int]]],
    ) -> None:
        self._steering = steering
        self._conditions = conditions
        self._tokens = tokens
        self._strengths = [condition.strength for condition in conditions]
        self._aims: Aims | None = None
        self._said: list[Said] = []
        self._began = False
        self._count = 0  # tokens of the answer
        self._embed: Embeddings | None = None
        self._trace = Trace(steering.head.width)

    @property
    def longest(self) -> int:
        """Tokens of the longest text that `prepare` reads."""
        return max(len(lead) + len(ids) for lead, ids in self._tokens.values())

    def prepare(self, states: States, embed: Embeddings) -> None:
        """Read the conditions. Before the first `steer`."""
        read = [
            self._steering.read(c.text, self._tokens[c.text], states, embed)
            for c in self._conditions
        ]
        self._aims = self._steering.head.aims(np.stack([vector for vector, _ in read]))
        self._said = [Said(words) for _, words in read]
        self._embed = embed

    def observe(
        self, ids: Sequence[int], states: torch.Tensor, embeddings: torch.Tensor
    ) -> None:
        """Add tokens of the answer that were read: states and embeddings, both [T, width].

        The first call adds the last token of the prompt, which is no word of the answer.
        """
        rows = _array(embeddings)
        for state, row in zip(_array(states), rows, strict=True):
            self._trace.add(state, row)
        if not self._began:
            self._began, ids, rows = True, ids[1:], rows[1:]
        if len(ids):
            tokens = self._steering.tokens(ids, rows)
            self._count += len(ids)
            for said in self._said:
                said.add(tokens)

    def steer(
        self, logits: NDArray[np.float32], tokens: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return [m] logits under control.

        Args:
            logits: [m], after a grammar's mask.
            tokens: [m] that the logits belong to; None: the whole vocabulary.
        """
        assert self._aims is not None
        assert self._embed is not None
        judged = likeliest(logits, reach=REACH)
        ids = judged if tokens is None else tokens[judged]
        head = self._steering.head
        rows = _array(self._embed(ids.tolist()))
        next_ones = self._steering.tokens(ids, rows)
        terms = head.log_chances(
            head.text(self._trace.vector),
            self._aims,
            rows,
            np.stack([said.after(next_ones) for said in self._said]),
            self._count + 1,
        )
        # The head judges texts that go on. An end gets the mean of the other tokens: control
        # alone makes an answer neither longer nor shorter.
        ends = np.isin(ids, self._steering.endings)
        if ends.any() and not ends.all():
            weight = np.exp(logits[judged] - logits[judged].max())
            weight[ends] = 0.0
            if weight.sum() > 0:
                terms[:, ends] = (terms @ weight / weight.sum())[:, None]
        return controlled(logits, judged, terms, self._strengths)


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array
