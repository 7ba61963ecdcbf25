"""PostgreSQL with a small pool of threads; each operation is a transaction of its own.

If a connection breaks before COMMIT is sent, nothing has changed and the operation runs again
on a new connection. If that fails too, or if COMMIT itself is interrupted, the caller gets
StoreUnavailable (503), and an idempotency key or a fence makes repeating safe. Deadlocks and
serialization failures are run again.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError

from services.errors import StoreUnavailable
from services.store.faults import is_retryable, translate
from services.store.migrate import upgrade
from services.store.runner import Operation
from services.store.sql.tx import Tx

T = TypeVar("T")

THREADS = 8
TRIES = 6
CONNECT_TIMEOUT_S = 5
# Statements that take longer fail, so that the caller is answered.
SESSION = (
    "-c statement_timeout=30000 -c lock_timeout=10000 "
    "-c idle_in_transaction_session_timeout=60000"
)


class PostgresRunner:
    """A `Runner` on a PostgreSQL database."""

    dialect = "postgresql"

    def __init__(
        self, url: str, *, clock: Callable[[Connection], int], new_id: Callable[[], str]
    ) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._clock = clock
        self._new_id = new_id
        self._engine: Engine | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._stopping = threading.Event()

    async def open(self) -> None:
        """Connect and migrate under an advisory lock."""
        self._stopping.clear()
        self._engine = create_engine(
            self._url,
            pool_size=THREADS,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_recycle=1800,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": SESSION,
                "application_name": "trimtab",
            },
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="postgres")
        try:
            await self.write(lambda tx: upgrade(tx.conn))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect once the running operations have ended."""
        self._stopping.set()
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown)
            self._threads = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in a transaction of its own."""
        if self._threads is None:
            raise StoreUnavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._run, operation
        )

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation like `write`."""
        return await self.write(operation)

    def _run(self, operation: Operation[T]) -> T:
        for remaining in reversed(range(TRIES)):
            committing = False
            try:
                assert self._engine is not None
                with self._engine.connect() as conn:
                    answer = operation(
                        Tx(conn=conn, clock=self._clock, new_id=self._new_id)
                    )
                    committing = True
                    conn.commit()
                return answer
            except DBAPIError as error:
                broke_early = error.connection_invalidated and not committing
                if (
                    not remaining
                    or self._stopping.is_set()
                    or not (is_retryable(error) or broke_early)
                ):
                    raise translate(error) from error
                if is_retryable(error):
                    # Full jitter, so that two colliding transactions do not collide again.
                    time.sleep(random.uniform(0, 0.01 * 2 ** (TRIES - remaining)))
            except Exception as error:
                raise translate(error) from error
        raise AssertionError("unreachable")
