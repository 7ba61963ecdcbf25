"""Control inside an engine: conditions of a request become terms on the logits of its tokens."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cost_models.text.head import ControlHead, Trace, condition_tokens, condition_vector
from search.condition import Condition
from search.control import controlled, faults, likeliest
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
        endings: Collection[int],
    ) -> None:
        """Use `head` with the model's tokenizer; `endings` are tokens that end an answer."""
        self.head = head
        self._encode = encode
        self.endings = np.array(sorted(endings), np.int64)
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

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

    def vector(
        self,
        text: str,
        ids: tuple[list[int], list[int]],
        states: States,
        embed: Embeddings,
    ) -> NDArray[np.float32]:
        """Return the normed vector of a condition, read by the model unless it was lately."""
        if text not in self._vectors:
            lead, own = ids
            read = states([*lead, *own])[len(lead) :]
            vector = condition_vector(_array(read), _array(embed(own)))
            self._vectors[text] = self.head.condition(vector)
            if len(self._vectors) > _KEPT:
                self._vectors.popitem(last=False)
        self._vectors.move_to_end(text)
        return self._vectors[text]


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
        self._vectors: NDArray[np.float32] | None = None
        self._embed: Embeddings | None = None
        self._trace = Trace(steering.head.width)

    @property
    def longest(self) -> int:
        """Tokens of the longest text that `prepare` reads."""
        return max(len(lead) + len(ids) for lead, ids in self._tokens.values())

    def prepare(self, states: States, embed: Embeddings) -> None:
        """Read the conditions. Before the first `steer`."""
        rows = [
            self._steering.vector(c.text, self._tokens[c.text], states, embed)
            for c in self._conditions
        ]
        self._vectors, self._embed = np.stack(rows), embed

    def observe(self, states: torch.Tensor, embeddings: torch.Tensor) -> None:
        """Add tokens that were read: states and embeddings, both [T, width]."""
        for state, embedding in zip(_array(states), _array(embeddings), strict=True):
            self._trace.add(state, embedding)

    def steer(
        self, logits: NDArray[np.float32], tokens: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return [m] logits under control.

        Args:
            logits: [m], after a grammar's mask.
            tokens: [m] that the logits belong to; None: the whole vocabulary.
        """
        assert self._vectors is not None
        assert self._embed is not None
        judged = likeliest(logits)
        ids = judged if tokens is None else tokens[judged]
        head = self._steering.head
        text = head.text(self._trace.vector)
        rows = _array(self._embed(ids.tolist()))
        terms = head.log_chances(text, self._vectors, rows)
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
