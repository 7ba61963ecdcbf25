"""uvicorn, taught to end well: streams and long polls end by themselves first, and a signal is an end, not a death."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from services.gateway.deps import Lifetime


class Server(uvicorn.Server):
    """Serves one application."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        lifetime: Lifetime,
        on_started: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(config)
        self._lifetime = lifetime
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started and self._on_started is not None:
            await self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn waits for open responses; a stream of events would never end by itself."""
        self._lifetime.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but without raising the signal again afterwards: that would kill the process before it has tidied
        its folder and turn a clean end into exit code 143."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            one: signal.signal(one, self.handle_exit)
            for one in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
