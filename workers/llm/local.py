"""`TextModel` over an engine in this process: adapters `embedded` and `checkpoint:/folder`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from search.stop import StoppingCriterion
from search.text_model import Capabilities, Ended, LogitHook, TextRequest, Token
from workers.llm.engine import Engine


class LocalTextModel:
    """A model in this process. Generations run as their iterators are read.

    With `engine.start()` before, the engine's own thread runs them instead, and several threads may
    read one generation each.
    """

    def __init__(self, engine: Engine, *, name: str) -> None:
        """Put `engine` behind the port; `name` is what /v1/models lists."""
        self.engine = engine
        self._name = name

    @property
    def capabilities(self) -> Capabilities:
        """What this model can do."""
        config, options = self.engine.config, self.engine.options
        default = self.engine.default
        return Capabilities(
            name=self._name,
            context_tokens=config.context_tokens,
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
            tokenize(prompt), [tokenize(text) for text in continuations]
        )

    def close(self) -> None:
        """Cancel what runs and end the engine's thread."""
        self.engine.close()
