"""Language models for tests of outlines: each answers a form in one way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from search.stop import StoppingCriterion
from search.text_model import (
    Capabilities,
    Ended,
    Finish,
    LogitHook,
    ModelUnavailable,
    TextRequest,
    Token,
)

Answer = Callable[[dict[str, Any]], str]


class FormModel:
    """Answers each request by a function of its JSON schema; remembers the prompts."""

    def __init__(self, answer: Answer | None = None, **capabilities: Any) -> None:
        fields = {"name": "form", "context_tokens": 4096, "streams": 1}
        self.capabilities = Capabilities(**{**fields, **capabilities})
        self.prompts: list[str] = []
        self.schemas: list[dict[str, Any]] = []
        self._answer = answer or first_values

    def tokenize(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        return [0.0 for _ in continuations]

    def close(self) -> None:
        """Do nothing."""

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        self.prompts.append(" ".join(message.text for message in request.messages))
        assert request.grammar is not None
        schema = dict(request.grammar.json_schema or {})
        self.schemas.append(schema)
        for letter in self._answer(schema):
            if stop is not None and stop(None):
                ended.finish = Finish.CANCELLED
                return
            yield Token(id=ord(letter), text=letter, logprob=-0.1)
        ended.finish = Finish.STOP


def first_values(schema: dict[str, Any]) -> str:
    """The first value of each field: what the goal states."""
    return json.dumps({n: part["enum"][0] for n, part in schema["properties"].items()})


def last_values(schema: dict[str, Any]) -> str:
    """The last value of each field, and the first template."""
    fields = {name: part["enum"][-1] for name, part in schema["properties"].items()}
    return json.dumps({**fields, "template": schema["properties"]["template"]["enum"][0]})


def invented(schema: dict[str, Any]) -> str:
    """A number that is in no field's list."""
    fields = json.loads(first_values(schema))
    return json.dumps({**fields, next(n for n in fields if n != "template"): 777})


def down(schema: dict[str, Any]) -> str:
    raise ModelUnavailable("endpoint: expected an answer, got connection refused")


def broken(schema: dict[str, Any]) -> str:
    raise RuntimeError("a fault of the adapter")


def slow(schema: dict[str, Any]) -> str:
    time.sleep(30.0)
    return first_values(schema)


def endless(schema: dict[str, Any]) -> str:
    return "x" * 200_000
