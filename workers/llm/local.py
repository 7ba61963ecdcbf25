"""`TextModel` over an engine in this process: adapters `embedded` and `checkpoint:/folder`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from cost_models.text.head import ControlHead, head_name
from cost_models.weights import load_weights, manifest
from search.condition import Condition
from search.stop import StoppingCriterion
from search.text_model import (
    Capabilities,
    Ended,
    LogitHook,
    TextRequest,
    Token,
)
from workers.llm import chat, weights
from workers.llm.constrain import Constraint
from workers.llm.engine import Engine, Front, Options
from workers.llm.sequence import Control
from workers.llm.steering import Steering
from workers.llm.tokenizer import Tokenizer


def load(
    source: weights.ModelSource,
    options: Options | None = None,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: str = "cpu",
) -> LocalTextModel:
    """Return a model of files, ready to generate. Raises ModelUnavailable."""
    config, loaded = weights.load(source, dtype=dtype, device=device)
    tokenizer = Tokenizer(weights.model_folder(source, dtype=dtype))
    front = Front(
        chat=partial(chat.prompt, tokenizer),
        bound=partial(Constraint, tokenizer=tokenizer),
        control=_control(source, tokenizer),
    )
    return LocalTextModel(
        Engine(config, loaded, tokenizer, front, options), name=source.name
    )


def _control(
    source: weights.ModelSource, tokenizer: Tokenizer
) -> Callable[[Sequence[Condition]], Control | None] | None:
    """Return the control of the embedded model; None for others, which have no head."""
    if (
        source.sha256 != weights.EMBEDDED.sha256
        or head_name(source.name) not in manifest()
    ):
        return None
    head = ControlHead(load_weights(head_name(source.name)))
    return Steering(head, tokenizer.encode, tokenizer.texts, tokenizer.eos).guide


class LocalTextModel:
    """A model in this process, run by its engine's own thread."""

    def __init__(self, engine: Engine, *, name: str) -> None:
        """Put `engine` behind the port and start it; `name` is what /v1/models lists."""
        self.engine = engine
        self._name = name
        engine.start()

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of this model."""
        config, options = self.engine.config, self.engine.options
        default = self.engine.default
        return Capabilities(
            name=self._name,
            context_tokens=config.context_tokens,
            control=self.engine.controls,
            streams=2 * options.sequences,
            details={
                "architecture": config.architecture,
                "layers": config.layers,
                "sequences": options.sequences,
                "slots": self.engine.slots,
                "cache": {
                    "policy": default.policy.value,
                    "slots": default.slots,
                    "score": default.score.value,
                },
                "deterministic": options.deterministic,
            },
        )

    def tokenize(self, text: str) -> list[int]:
        """Return ids of a text; special tokens in it are read as plain text."""
        return self.engine.tokenizer.encode(text)

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        """Yield tokens as they come; `ended` is complete when the stream is exhausted.

        Closing the iterator cancels. Raises TextModelError.
        """
        handle = self.engine.submit(request, ended, stop=stop, hook=hook)
        yield from handle

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats.

        The prompt and each continuation are tokenized apart.
        """
        tokenize = self.engine.tokenizer.encode
        return self.engine.score(
            self.engine.tokenizer.encode_prompt(prompt),
            [tokenize(text) for text in continuations],
        )

    def close(self) -> None:
        """Cancel what runs and end the engine's thread."""
        self.engine.close()
