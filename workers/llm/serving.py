"""Serve the calls of one connection from a `TextModel`: a thread per call that runs."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from search.text_model import Ended, Finish, TextModel, TextModelError, Usage
from trimtab.results import Incumbent, Limit
from workers.llm import wire
from workers.llm.wire import Json

_PATIENCE_S = 0.2  # between two looks at the deadline while the caller takes no token


class CallStop:
    """Ends one call: its caller cancelled it, or its deadline has passed."""

    def __init__(self, deadline_s: float | None) -> None:
        self._until = None if deadline_s is None else time.monotonic() + deadline_s
        self._cancelled = threading.Event()
        self.limit: Limit | None = None

    def cancel(self) -> None:
        """End the call at its next step."""
        self._cancelled.set()

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True when the call must end now."""
        if self._cancelled.is_set():
            self.limit = self.limit or Limit.STOPPED
        elif self._until is not None and time.monotonic() >= self._until:
            self.limit = self.limit or Limit.TIME
        return self.limit is not None

    def remaining_s(self) -> float:
        """Return the seconds until the deadline, infinity without one."""
        if self._until is None:
            return float("inf")
        return max(0.0, self._until - time.monotonic())

    def evaluations_left(self) -> int | None:
        """Return None: evaluations are not limited here."""
        return None

    def spend(self, count: int = 1) -> None:
        """Ignore evaluations."""


class _Call:
    """A call that was received: its frame, when it must end, and what its caller can take."""

    def __init__(self, frame: Json) -> None:
        self.number = int(frame["call"])
        self.frame = frame
        self.stop = CallStop(frame.get("deadline_s"))
        self._credit = wire.WINDOW
        self._changed = threading.Condition()

    def credit(self, tokens: int) -> None:
        with self._changed:
            self._credit += tokens
            self._changed.notify()

    def cancel(self) -> None:
        self.stop.cancel()
        with self._changed:
            self._changed.notify()

    def take_credit(self) -> bool:
        """Wait until the caller can take a token; False when the call has to end instead."""
        with self._changed:
            while self._credit < 1 and not self.stop(None):
                self._changed.wait(_PATIENCE_S)
            self._credit -= 1
        return not self.stop(None)


class TextServer:
    """Runs calls on a model, as many at once as it takes; the others wait in their order."""

    def __init__(
        self,
        model: TextModel,
        send: Callable[[Json], None],
        *,
        threads: int | None = None,
    ) -> None:
        self._model = model
        self._send = send
        self._calls: dict[int, _Call] = {}
        self._waiting: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        count = model.capabilities.streams if threads is None else threads
        self._threads = [
            threading.Thread(target=self._work, name=f"text-{number}", daemon=True)
            for number in range(max(1, count))
        ]
        for thread in self._threads:
            thread.start()

    def handle(self, frame: Json) -> None:
        """Take a frame of the caller. Raises KeyError or ValueError for one that is malformed."""
        match frame["type"]:
            case "text":
                call = _Call(frame)
                with self._lock:
                    self._calls[call.number] = call
                self._waiting.put(call)
            case "text_credit":
                if stream := self._known(frame):
                    stream.credit(int(frame["tokens"]))
            case "text_cancel":
                if stream := self._known(frame):
                    stream.cancel()
            case other:
                raise ValueError(f"frame: expected one of a caller, got {other!r}")

    def close(self) -> None:
        """Cancel every call and end the threads."""
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            call.cancel()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(5.0)

    def _known(self, frame: Json) -> _Call | None:
        with self._lock:
            return self._calls.get(int(frame["call"]))

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            # OSError: the caller is gone, and its other calls are told so by their own threads.
            with contextlib.suppress(OSError):
                self._serve(call)
            with self._lock:
                self._calls.pop(call.number, None)

    def _serve(self, call: _Call) -> None:
        try:
            if call.frame["method"] == "generate":
                self._generate(call)
            else:
                self._reply("text_value", call, value=self._value(call.frame))
        except OSError:
            raise
        except Exception as error:
            self._reply("text_failed", call, **wire.failure_to_json(error))

    def _generate(self, call: _Call) -> None:
        request = wire.request_from_json(call.frame["request"])
        ended = Ended()
        sent = 0
        # A call that was cancelled while it waited for a thread does not reach the model.
        if not call.stop(None):
            with contextlib.closing(
                _generator(self._model.generate(request, ended, stop=call.stop))
            ) as tokens:
                for token in tokens:
                    if not call.take_credit():
                        break
                    self._reply("text_token", call, token=wire.token_to_json(token))
                    sent += 1
        limit = call.stop.limit
        ended.finish = ended.finish or (Finish.CANCELLED if limit else Finish.STOP)
        ended.usage = ended.usage or Usage(prompt_tokens=0, completion_tokens=sent)
        self._reply("text_ended", call, limit=limit, **wire.ended_to_json(ended))

    def _value(self, frame: Json) -> Any:
        match frame["method"]:
            case "score":
                return self._model.score(frame["prompt"], list(frame["continuations"]))
            case "tokenize":
                return self._model.tokenize(frame["text"])
            case "capabilities":
                return wire.capabilities_to_json(self._model.capabilities)
            case other:
                raise TextModelError(
                    "method: expected generate, score, tokenize or capabilities, got "
                    f"{str(other)[:40]!r}"
                )

    def _reply(self, kind: str, call: _Call, **fields: Any) -> None:
        self._send({"type": kind, "call": call.number, **fields})


def _generator(tokens: Any) -> Any:
    """Return an iterator with `close`: that of a plain iterator does nothing."""
    return tokens if hasattr(tokens, "close") else (token for token in tokens)
