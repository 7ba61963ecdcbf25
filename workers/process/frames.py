"""Frames between a host and its child: a length of four bytes and that many bytes of JSON.

JSON and not pickle, because a hostile input file may control the child. Both sides limit the size
of a frame.

host → child   {"type": "task", ...}   {"type": "stop"}
child → host   ready, beat, phase, incumbent, log, result, failed
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from typing import Any

import orjson

MAX_FRAME_BYTES = 64 * 2**20
_LENGTH = struct.Struct(">I")

Frame = dict[str, Any]


class BadFrame(Exception):
    """The other side sent bytes that are not a frame. The connection is unusable."""


def pack(frame: Frame) -> bytes:
    """Encode a frame. Raises BadFrame when it is too large."""
    body = orjson.dumps(frame, option=orjson.OPT_SERIALIZE_NUMPY)
    if len(body) > MAX_FRAME_BYTES:
        raise BadFrame(
            f"frame {frame.get('type')!r}: expected at most {MAX_FRAME_BYTES} bytes, got "
            f"{len(body)}"
        )
    return _LENGTH.pack(len(body)) + body


def _unpack(body: bytes) -> Frame:
    try:
        frame = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadFrame(f"not JSON: {error}") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise BadFrame("frame: expected an object with a 'type'")
    return frame


def _checked_length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise BadFrame(
            f"frame: expected at most {MAX_FRAME_BYTES} bytes, got a length of {length}"
        )
    return int(length)


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """Read the next frame; None at the end. Raises BadFrame."""
    try:
        length = _checked_length(await reader.readexactly(_LENGTH.size))
        return _unpack(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


class Channel:
    """The child's end of the socket: blocking; several threads may send."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")
        self._lock = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Send a frame. Raises OSError when the host is gone."""
        data = pack(frame)
        with self._lock:
            self._sock.sendall(data)

    def read(self) -> Frame | None:
        """Read the next frame; None when the host is gone."""
        head = self._file.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        length = _checked_length(head)
        body = self._file.read(length)
        return _unpack(body) if len(body) == length else None
