"""Event streams of jobs, without IO."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from trimtab._core import Call, call
from trimtab.errors import ProtocolError, api_error
from trimtab.results import Event, Problem


class EventStream:
    """Parser of a job's server-sent events over reconnects: each event once, in order.

    Lines are split as bytes: str.splitlines would also break at U+2028, which JSON text may have.
    """

    def __init__(self, job_id: str, after_seq: int = 0) -> None:
        self.job_id = job_id
        self.last_seq = after_seq
        self.ended = False
        self._buffer = b""
        self._name, self._data = "", list[bytes]()

    def call(self) -> Call:
        """Build the request that continues after the last event received."""
        # Half an event of a broken connection is dropped.
        self._buffer, self._name, self._data = b"", "", []
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self.last_seq)}
        # The server pings every 15 s; a minute of silence is a dead connection.
        return call("events", headers=headers, id=self.job_id, read_timeout_s=60.0)

    def feed(self, block: bytes) -> Iterator[Event]:
        """Yield the events that these bytes complete."""
        self._buffer += block
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line:
                name, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if name == b"event":
                    self._name = value.decode()
                elif name == b"data":
                    self._data.append(value)
                continue
            name_, data = self._name, b"\n".join(self._data)
            self._name, self._data = "", []
            if name_ == "end":
                self.ended = True
                _raise_refusal(data)
                return
            if data:
                event = self._event(data)
                if event.seq > self.last_seq:
                    self.last_seq = event.seq
                    yield event

    def _event(self, data: bytes) -> Event:
        try:
            return Event.model_validate_json(data)
        except ValidationError as error:
            raise ProtocolError(
                f"events of job {self.job_id}: expected an Event, got {data[:200]!r}"
            ) from error


def _raise_refusal(data: bytes) -> None:
    """Raise AuthError if a stream ended because its key no longer works."""
    try:
        end = json.loads(data or b"{}")
    except ValueError:
        return
    if isinstance(end, dict) and end.get("status") == 401:
        raise api_error(
            Problem(
                type="about:blank",
                title="Unauthorized",
                status=401,
                detail=f"the stream ended: {str(end.get('detail'))[:300]}",
                fix="use a key that works; the job goes on",
            )
        )
