"""Text of a stream of tokens: whole characters only, up to the first stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class Emission:
    """Bytes of one answer on their way to text.

    Bytes are held back while a character is incomplete, and text while it may be the beginning of a
    stop string.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        """Start an empty answer that ends before the first of `stop`."""
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Add a token's bytes and return the text that is certain now."""
        if self.stopped:
            return ""
        return self._release(self._decoder.decode(piece))

    def flush(self) -> str:
        """Return what was held back; bytes that are no character become U+FFFD."""
        if self.stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        """Return text up to a stop string, or up to what may become one."""
        self._held += text
        stops = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if stops:
            self.stopped = True
            text, self._held = self._held[: min(stops)], ""
            return text
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return text


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`, short of all of it."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-size:]):
            return size
    return 0
