# Generated from trimtab/_connection_aio.py by deploy/tools/unasync.py. Edit that file, then run
# `python deploy/tools/unasync.py`.

"""Requests of the blocking client: retries, streamed downloads and event streams."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from trimtab import _core, _twins, config, files
from trimtab._core import Call, RetryPolicy
from trimtab._events import EventStream
from trimtab.errors import ClientClosed, ConnectionFailed
from trimtab.results import Event
from trimtab.text import TextAnswer, TextStream


class Connection:
    """HTTP connections to one server. Base of `Client`, which adds the operations."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        retry: RetryPolicy | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.endpoint = config.find(url, api_key)
        self._retry = retry or RetryPolicy()
        self._timeout_s = timeout_s
        self._rng = random.Random()  # jitter only
        self._answered = False  # by the server, ever
        self._http = httpx2.Client(
            base_url=self.endpoint.url,
            headers=_core.http_headers(self.endpoint.api_key),
            timeout=timeout_s,
            transport=transport,
            event_hooks={"response": [self._on_answer]},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _open_http(self) -> httpx2.Client:
        """Return the HTTP client. Raises ClientClosed after `close`."""
        if self._http.is_closed:
            raise ClientClosed(
                "client: expected an open one, got one that was closed; read a result's values "
                "before you close the client (inside its `with` block), or use a new client"
            )
        return self._http

    def _send(
        self,
        sent: Call,
        *,
        upload: files.LocalFile | None = None,
        progress: files.Progress | None = None,
    ) -> httpx2.Response:
        """Send a call until it succeeds, and return the answer.

        Raises ApiError or ConnectionFailed when the retry policy gives up.
        """
        began, attempt = time.monotonic(), 0
        timeout = self._retry.timeout(
            self._timeout_s, sent.read_timeout_s, answered=self._answered
        )
        while True:
            content = (
                sent.body
                if upload is None
                else files.chunks(upload.path, upload.size_bytes or 0, progress)
            )
            failure: httpx2.Response | httpx2.TransportError
            try:
                failure = self._open_http().request(
                    sent.method,
                    sent.path,
                    params=dict(sent.params),
                    content=content,
                    headers=dict(sent.headers),
                    timeout=timeout,
                )
            except httpx2.TransportError as error:
                failure = error
            else:
                # A repeated DELETE whose first answer was lost gets a 404.
                if failure.is_success or (
                    attempt and sent.method == "DELETE" and failure.status_code == 404
                ):
                    return failure
            self._pause(sent, failure, attempt, began)
            attempt += 1

    def _on_answer(self, response: httpx2.Response) -> None:
        self._answered = True

    def _pause(
        self,
        sent: Call,
        failure: httpx2.Response | httpx2.TransportError,
        attempt: int,
        began: float,
    ) -> None:
        """Sleep before the next try, or raise the failure."""
        pause = None
        if _core.may_repeat(sent, failure):
            after = (
                _core.retry_after_s(failure)
                if isinstance(failure, httpx2.Response)
                else None
            )
            pause = self._retry.pause(
                attempt,
                time.monotonic() - began,
                rng=self._rng,
                retry_after_s=after,
                answered=self._answered,
            )
        if pause is None:
            if isinstance(failure, httpx2.Response):
                raise _core.error_of(failure)
            raise ConnectionFailed(
                f"{sent.method} {self.endpoint.url}{sent.path}: {type(failure).__name__}: "
                f"{failure} (after {attempt + 1} tries); is the server running?"
            ) from failure
        if self._retry.on_pause is not None:
            reason = _core.reason_of(failure)
            deadline_s = self._retry.deadline(answered=self._answered)
            left_s = deadline_s - (time.monotonic() - began)
            self._retry.on_pause(f"{self.endpoint.url}: {reason}", max(0.0, left_s))
        _twins.sleep(pause)

    def _download(
        self,
        sent: Call,
        target: Path,
        digest: str | None,
        progress: files.Progress | None,
    ) -> Path:
        """Stream a file to `target`; restarts after a broken connection."""
        began, attempt = time.monotonic(), 0
        with files.Download(target, digest=digest, progress=progress) as download:
            while True:
                failure: httpx2.Response | httpx2.TransportError
                try:
                    with self._open_http().stream(
                        sent.method, sent.path, headers={"Accept": "*/*"}
                    ) as answer:
                        if answer.is_success:
                            length = answer.headers.get("content-length")
                            download.total = int(length) if length else None
                            for block in answer.iter_bytes():
                                download.write(block)
                            return target
                        answer.read()
                        failure = answer
                except httpx2.TransportError as error:
                    failure = error
                    download.restart()
                self._pause(sent, failure, attempt, began)
                attempt += 1

    def _events(self, job_id: str, after_seq: int) -> Iterator[Event]:
        """Yield a job's events; resumes after a broken connection."""
        stream = EventStream(job_id, after_seq)
        began, attempt = time.monotonic(), 0
        while True:
            sent = stream.call()
            failure: httpx2.Response | httpx2.TransportError
            try:
                timeout = self._retry.timeout(
                    self._timeout_s, sent.read_timeout_s, answered=self._answered
                )
                with self._open_http().stream(
                    "GET", sent.path, headers=dict(sent.headers), timeout=timeout
                ) as answer:
                    if answer.is_success:
                        for block in answer.iter_bytes():
                            # The connection is alive, if only by the server's pings.
                            began, attempt = time.monotonic(), 0
                            yield from stream.feed(block)
                            if stream.ended:
                                return
                        failure = httpx2.RemoteProtocolError(
                            "the event stream broke off before its end"
                        )
                    else:
                        answer.read()
                        failure = answer
            except httpx2.TransportError as error:
                failure = error
            self._pause(sent, failure, attempt, began)
            attempt += 1

    def _chunks(self, sent: Call) -> Iterator[TextAnswer]:
        """Yield the chunks of one answer. Half an answer is never asked for again.

        Raises ConnectionFailed when the connection breaks after the first chunk.
        """
        stream = TextStream()
        began, attempt = time.monotonic(), 0
        while True:
            failure: httpx2.Response | httpx2.TransportError
            try:
                timeout = self._retry.timeout(
                    self._timeout_s, sent.read_timeout_s, answered=self._answered
                )
                with self._open_http().stream(
                    sent.method,
                    sent.path,
                    content=sent.body,
                    headers=dict(sent.headers),
                    timeout=timeout,
                ) as answer:
                    if answer.is_success:
                        for block in answer.iter_bytes():
                            yield from stream.feed(block)
                            if stream.done:
                                return
                        failure = httpx2.RemoteProtocolError(
                            "the answer broke off before its end"
                        )
                    else:
                        answer.read()
                        failure = answer
            except httpx2.TransportError as error:
                failure = error
            if stream.begun:
                raise ConnectionFailed(
                    f"{sent.method} {self.endpoint.url}{sent.path}: the answer broke off: "
                    f"{failure}; ask again"
                )
            self._pause(sent, failure, attempt, began)
            attempt += 1
