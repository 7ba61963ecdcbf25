"""`TextModel` of a run: its calls go to the hosted model over a connection of frames.

A run has no network and no model in its memory. Its calls travel over the pipe to its executor,
which relays them to the model's own process.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from search.stop import StoppingCriterion
from search.text_model import (
    Capabilities,
    Ended,
    LogitHook,
    ModelUnavailable,
    TextModel,
    TextModelError,
    TextRequest,
    Token,
)
from workers.llm import wire
from workers.llm.none import NoTextModel
from workers.llm.streamed import Streamed
from workers.llm.wire import Json

_LOOK_S = 0.05  # between two looks at the caller's stopping criterion


class HostedTextModel:
    """A model behind a connection. Any number of threads may call it.

    Args:
        send: Sends a frame to the host. Raises OSError when the host is gone.
    """

    def __init__(self, send: Callable[[Json], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[Json]] = {}
        self._lock = threading.Lock()
        self._lost = ""
        self._capabilities: Capabilities | None = None

    def deliver(self, frame: Json) -> None:
        """Take a frame of the host; called by the thread that reads the connection."""
        with self._lock:
            answers = self._answers.get(int(frame["call"]))
        if answers is not None:
            answers.put(frame)

    def lose(self, why: str) -> None:
        """End every call with ModelUnavailable: the connection is gone."""
        with self._lock:
            self._lost = why
            calls = dict(self._answers)
        failed = {"type": "text_failed", "error": "ModelUnavailable", "message": why}
        for number, answers in calls.items():
            answers.put({**failed, "call": number})

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the hosted model. The first use waits until it is loaded."""
        if self._capabilities is None:
            value = self._value({"method": "capabilities"})
            # A hook cannot cross the connection.
            self._capabilities = replace(wire.capabilities_from_json(value), hooks=False)
        return self._capabilities

    def tokenize(self, text: str) -> list[int]:
        """Return ids of a text; special tokens in it are read as plain text."""
        return [int(token) for token in self._value({"method": "tokenize", "text": text})]

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Return the log-probability of each continuation after a prompt, in nats."""
        call = {"method": "score", "prompt": prompt, "continuations": list(continuations)}
        return [float(value) for value in self._value(call)]

    def generate(
        self,
        request: TextRequest,
        ended: Ended,
        *,
        stop: StoppingCriterion | None = None,
        hook: LogitHook | None = None,
    ) -> Iterator[Token]:
        """Yield tokens as they come; see the port. A hook cannot cross the connection."""
        if hook is not None:
            raise TextModelError(
                "hook: expected none with a hosted model, got one; logit hooks run beside the "
                "engine: open the model in this process"
            )
        body: Json = {"method": "generate", "request": wire.request_to_json(request)}
        if stop is not None and stop.remaining_s() < float("inf"):
            body["deadline_s"] = max(0.001, stop.remaining_s())
        return self._tokens(body, ended, stop)

    def close(self) -> None:
        """Do nothing: the model belongs to the service."""

    def _tokens(
        self, body: Json, ended: Ended, stop: StoppingCriterion | None
    ) -> Iterator[Token]:
        number, answers = self._begin(body)
        streamed = Streamed(number, ended, self._post)
        cancelled = False
        try:
            while True:
                if stop is not None and not cancelled and stop(None):
                    cancelled = True
                    streamed.cancel()
                try:
                    frame = answers.get(timeout=None if stop is None else _LOOK_S)
                except queue.Empty:
                    continue
                token = streamed.take(frame)
                if token is None:
                    return
                yield token
        finally:
            self._end(number)
            streamed.cancel()

    def _value(self, body: Json) -> Any:
        number, answers = self._begin(body)
        try:
            frame = answers.get()
        finally:
            self._end(number)
        if frame["type"] != "text_value":
            raise wire.failure_from_json(frame)
        return frame["value"]

    def _begin(self, body: Json) -> tuple[int, queue.SimpleQueue[Json]]:
        number = next(self._numbers)
        answers: queue.SimpleQueue[Json] = queue.SimpleQueue()
        with self._lock:
            if self._lost:
                raise ModelUnavailable(self._lost)
            self._answers[number] = answers
        self._post({"type": "text", "call": number, **body})
        return number, answers

    def _end(self, number: int) -> None:
        with self._lock:
            self._answers.pop(number, None)

    def _post(self, frame: Json) -> None:
        try:
            self._send(frame)
        except OSError as error:
            raise ModelUnavailable(
                f"the connection to the model is gone: {error}"
            ) from error


_connected: HostedTextModel | None = None


def connect(send: Callable[[Json], None]) -> HostedTextModel:
    """Make the model that `connected` returns, over this process's pipe to its executor."""
    global _connected
    _connected = HostedTextModel(send)
    return _connected


def connected() -> TextModel:
    """Return the model of this process: what `workers.needs` provides as `text_model`.

    In a process that has no executor to ask, it is `none`: templates do without a model.
    """
    return NoTextModel() if _connected is None else _connected
