"""Reader's end of a generation: a bounded queue of tokens, cancel, and the outcome."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from search.text_model import Ended, Finish, Token, Usage


class Handle:
    """Tokens of one generation as they come. One thread reads; any thread may cancel.

    `ended` is complete once the tokens are exhausted. An error of the generation is raised to the
    reader after the tokens before it.
    """

    def __init__(
        self,
        *,
        ahead: int,
        usage: Callable[[], Usage],
        wake: Callable[[], None],
        drive: Callable[[], bool],
        ended: Ended | None = None,
    ) -> None:
        """Hold at most `ahead` unread tokens.

        Args:
            ahead: unread tokens beyond which the sequence pauses.
            usage: reads the sequence's counts.
            wake: called when the reader has made room, or has cancelled.
            drive: advances the engine when no thread of its own does; False when one does.
            ended: filled in at the end.
        """
        self.ended = Ended() if ended is None else ended
        self._ahead = ahead
        self._usage = usage
        self._wake = wake
        self._drive = drive
        self._tokens: deque[Token] = deque()
        self._error: BaseException | None = None
        self._ready = threading.Condition()

    @property
    def full(self) -> bool:
        """True while the reader is so far behind that the sequence must pause."""
        return len(self._tokens) >= self._ahead

    @property
    def over(self) -> bool:
        """True once no more tokens will be added."""
        return self.ended.finish is not None or self._error is not None

    def cancel(self) -> None:
        """End the generation: no token is added from now on, and its row is freed at next step."""
        self.finish(Finish.CANCELLED)
        self._wake()

    def take(self, timeout_s: float = 0.0) -> list[Token]:
        """Return all tokens at hand, after waiting for one; [] at the time-out or the end.

        Raises the generation's error once its tokens are read. Needs the engine's own thread.
        """
        with self._ready:
            self._ready.wait_for(lambda: self._tokens or self.over, timeout_s)
            tokens = list(self._tokens)
            self._tokens.clear()
        if tokens:
            self._wake()
        elif self._error is not None:
            raise self._error
        return tokens

    def __iter__(self) -> Iterator[Token]:
        """Yield tokens to the end. Closing the iterator cancels."""
        try:
            while True:
                while not self._tokens and not self.over and self._drive():
                    pass
                tokens = self.take(timeout_s=1.0)
                yield from tokens
                if not tokens and self.over and not self._tokens:
                    if self._error is not None:
                        raise self._error
                    return
        finally:
            if not self.over:
                self.cancel()

    def put(self, token: Token) -> None:
        """Add a token, from the engine. Dropped when the generation is over."""
        with self._ready:
            if not self.over:
                self._tokens.append(token)
                self._ready.notify_all()

    def finish(self, finish: Finish) -> None:
        """Say why the generation ended. The first reason counts."""
        with self._ready:
            if not self.over:
                self.ended.usage = self._usage()
                self.ended.finish = finish
                self._ready.notify_all()

    def fail(self, error: BaseException) -> None:
        """End the generation by an error."""
        with self._ready:
            if not self.over:
                self.ended.usage = self._usage()
                self._error = error
                self._ready.notify_all()
