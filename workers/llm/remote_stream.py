"""Answers of an HTTP endpoint, bounded in size and time, that can be stopped at any moment."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from search.stop import StoppingCriterion

Json = dict[str, Any]
_LOOK_S = 0.02  # between two looks at the stopping criterion
_WAITING = 256  # pieces that were read and not yet used


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on one answer."""

    connect_s: float = 10.0
    silence_s: float = 60.0  # between two pieces
    answer_s: float = 600.0
    max_bytes: int = 16 << 20
    max_line_bytes: int = 1 << 20


class Stopped(Exception):
    """The caller's stopping criterion ended the answer."""


class _Reader:
    """Reads an answer in a thread, so that its caller can stop while nothing comes."""

    def __init__(
        self, client: httpx2.Client, request: httpx2.Request, limits: Limits
    ) -> None:
        self._client, self._request, self._limits = client, request, limits
        self._pieces: queue.Queue[bytes | Exception | None] = queue.Queue(_WAITING)
        self._over = threading.Event()
        self._response: httpx2.Response | None = None
        self._thread = threading.Thread(
            target=self._read, daemon=True, name="text-endpoint"
        )
        self._thread.start()

    def _read(self) -> None:
        end: Exception | None = None
        size = 0
        try:
            response = self._client.send(self._request, stream=True)
            self._response = response
            with contextlib.closing(response):
                if response.status_code != 200:
                    _read_error(response)
                for piece in response.iter_bytes():
                    size += len(piece)
                    if size > self._limits.max_bytes:
                        raise ValueError(
                            f"its answer is longer than {self._limits.max_bytes} bytes"
                        )
                    if not self._put(piece):
                        return
        # All of it goes to the caller: nobody else sees this thread.
        except Exception as error:
            end = error
        self._put(end)

    def _put(self, piece: bytes | Exception | None) -> bool:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=0.1)
                return True
        return False

    def pieces(self, stop: StoppingCriterion | None) -> Iterator[bytes]:
        """Yield pieces. Raises Stopped, httpx2.HTTPError, OSError and ValueError."""
        deadline = time.monotonic() + self._limits.answer_s
        while True:
            if stop is not None and stop(None):
                raise Stopped
            if time.monotonic() > deadline:
                raise ValueError(
                    f"its answer took more than {self._limits.answer_s:.0f} s"
                )
            try:
                piece = self._pieces.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        """End the thread, also while it waits for bytes."""
        self._over.set()
        response = self._response
        if response is not None and self._thread.is_alive():
            stream: Any = response.extensions.get("network_stream")
            with contextlib.suppress(OSError, AttributeError):
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _read_error(response: httpx2.Response) -> None:
    """Raise HTTPStatusError with the first bytes of the answer."""
    content = b""
    with contextlib.suppress(httpx2.HTTPError):
        for piece in response.iter_bytes():
            content += piece
            if len(content) > 1 << 16:
                break
    refusal = httpx2.Response(response.status_code, content=content[: 1 << 16])
    raise httpx2.HTTPStatusError("refused", request=response.request, response=refusal)


def read_body(
    client: httpx2.Client,
    request: httpx2.Request,
    *,
    limits: Limits,
    stop: StoppingCriterion | None,
) -> bytes:
    """Return a whole answer. Raises as `read_events`."""
    reader = _Reader(client, request, limits)
    try:
        return b"".join(reader.pieces(stop))
    finally:
        reader.close()


def read_events(
    client: httpx2.Client,
    request: httpx2.Request,
    *,
    limits: Limits,
    stop: StoppingCriterion | None,
) -> Iterator[Json]:
    """Yield the JSON objects of an event stream, up to `[DONE]` or its end.

    Raises Stopped, httpx2.HTTPError, OSError, and ValueError for what is no such stream.
    """
    reader = _Reader(client, request, limits)
    try:
        rest = b""
        for piece in reader.pieces(stop):
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > limits.max_line_bytes:
                raise ValueError(f"a line is longer than {limits.max_line_bytes} bytes")
            for line in lines:
                event = _event(line)
                if event == "done":
                    return
                if isinstance(event, dict):
                    # One piece may hold all events.
                    if stop is not None and stop(None):
                        raise Stopped
                    yield event
        if rest.strip():
            event = _event(rest)
            if isinstance(event, dict):
                yield event
    finally:
        reader.close()


def _event(line: bytes) -> Json | str | None:
    """Return the object of a line `data: {...}`, "done", or None for other lines of a stream."""
    line = line.strip()
    if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
        return None
    if not line.startswith(b"data:"):
        raise ValueError("its answer is no event stream")
    content = line[5:].strip()
    if content == b"[DONE]":
        return "done"
    try:
        event = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("an event of its answer is not JSON") from None
    if not isinstance(event, dict):
        raise ValueError("an event of its answer is not an object")
    return event
