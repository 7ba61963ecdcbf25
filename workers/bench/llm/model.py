"""The embedded model, for measurements."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from search.text_model import Grammar, Message, TextModelError
from workers.bench.llm.quality import Model
from workers.llm import weights
from workers.llm.decoder_types import DecoderConfig, DecoderWeights
from workers.llm.engine import Engine, Front, Options
from workers.llm.sequence import Bound
from workers.llm.tokenizer import Tokenizer


def tokenizer() -> Tokenizer:
    """Return the tokenizer of the embedded model. Raises ModelUnavailable."""
    return Tokenizer(weights.model_folder(weights.embedded()))


def load(dtype: torch.dtype = torch.bfloat16) -> Model:
    """Return weights and tokenizer of the embedded model. Raises ModelUnavailable."""
    config, loaded = weights.load(weights.embedded(), dtype=dtype)
    return Model(config=config, weights=loaded, encode=tokenizer().encode)


class Endless:
    """A tokenizer without a token that ends an answer: every generation has its full length."""

    eos: frozenset[int] = frozenset()

    def __init__(self, inner: Tokenizer | None = None) -> None:
        """Encode by another tokenizer; None: requests are given as tokens."""
        self._inner = inner

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return [] if self._inner is None else list(self._inner.encode(text))

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of a text that begins a sequence."""
        return [] if self._inner is None else self._inner.encode_prompt(text)

    def token_bytes(self, token: int) -> bytes:
        """Return a token's bytes."""
        return b"" if self._inner is None else bytes(self._inner.token_bytes(token))


def engine(*, options: Options, dtype: torch.dtype = torch.bfloat16) -> Engine:
    """Return an engine over the embedded model for requests given as tokens or plain text."""
    config, loaded = weights.load(weights.embedded(), dtype=dtype)
    return bare_engine(config, loaded, Endless(tokenizer()), options=options)


def bare_engine(
    config: DecoderConfig, loaded: DecoderWeights, tokens: Endless, *, options: Options
) -> Engine:
    """Return an engine without chat templates and grammars."""
    return Engine(
        config, loaded, tokens, Front(chat=_no_messages, bound=_no_grammar), options
    )


def _no_messages(messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
    raise TextModelError(f"messages: expected a prompt, got {len(messages)} messages")


def _no_grammar(grammar: Grammar) -> Bound:
    raise TextModelError(f"grammar: expected none, got {grammar}")
