"""Frames of one streamed call, read by its caller: tokens, credit for more, and the end."""

from __future__ import annotations

from collections.abc import Callable

from search.text_model import Ended, Token
from workers.llm import wire
from workers.llm.wire import Json

_CREDIT_EVERY = wire.WINDOW // 2


class Streamed:
    """A call whose tokens come one by one.

    Args:
        number: of the call.
        ended: complete once `over`.
        send: posts a frame to the host.
    """

    def __init__(self, number: int, ended: Ended, send: Callable[[Json], None]) -> None:
        self._number = number
        self._ended = ended
        self._send = send
        self._taken = 0
        self.over = False

    def take(self, frame: Json) -> Token | None:
        """Return the token of a frame; None at the end. Raises TextModelError."""
        match frame["type"]:
            case "text_token":
                self._taken += 1
                if self._taken % _CREDIT_EVERY == 0:
                    credit = {"call": self._number, "tokens": _CREDIT_EVERY}
                    self._send({"type": "text_credit", **credit})
                return wire.token_from_json(frame["token"])
            case "text_ended":
                self.over = True
                wire.read_ended(frame, self._ended)
                return None
            case _:
                self.over = True
                raise wire.failure_from_json(frame)

    def cancel(self) -> None:
        """Ask the host to end the call, unless it is over."""
        if not self.over:
            self._send({"type": "text_cancel", "call": self._number})
