"""Graceful shutdown of uvicorn: end streams and long polls, then exit 0."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from services.gateway.deps import Lifetime


class Server(uvicorn.Server):
    """uvicorn server that reports its start and drains streams at shutdown."""

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
        """Listen, then call `on_started`."""
        await super().startup(sockets)
        if self.started and self._on_started is not None:
            await self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close streams and long polls first: uvicorn waits for open responses, and they last."""
        self._lifetime.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals like uvicorn, but do not raise them again after shutdown.

        The second signal would kill the process before it has removed its files, and turn a
        clean end into exit code 143.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
