"""`TextModel` without a model: templates write every text, and each call says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from search.stop import StoppingCriterion
from search.text_model import (
    Capabilities,
    Ended,
    LogitHook,
    ModelUnavailable,
    TextRequest,
    Token,
)


class NoModel(ModelUnavailable):
    """No text model is configured."""

    def __init__(self) -> None:
        super().__init__(
            "text model: expected a configured model, got 'none'; set TRIMTAB_TEXT_MODEL to "
            "embedded, checkpoint:/folder or openai:URL"
        )


class NoTextModel:
    """Adapter `none`. Callers look at `capabilities.generates` and use templates."""

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of this model: none."""
        return Capabilities(
            name="none",
            context_tokens=0,
            generates=False,
            logprobs=False,
            hooks=False,
            grammar=False,
        )

    def tokenize(self, text: str) -> list[int]:
        """Raise NoModel."""
        raise NoModel

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        """Raise NoModel."""
        raise NoModel

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Raise NoModel."""
        raise NoModel

    def close(self) -> None:
        """Do nothing."""
