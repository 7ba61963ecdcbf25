"""SQLite with one writer thread that commits in groups, and a pool of read-only connections.

One writer, because connections that compete for SQLite's write lock back off blindly for up to
seconds, and because SQLite before 3.51.3 can corrupt a WAL if two connections write and
checkpoint at once. Group commit, because an fsync takes milliseconds: up to 64 waiting
operations share one. Each has a savepoint of its own, so that a failing one does not affect the
others; callers are answered after the COMMIT. See deploy/docs/adr/0003.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from services.errors import StoreUnavailable
from services.store.faults import translate
from services.store.migrate import upgrade
from services.store.runner import Operation
from services.store.sql.tx import Tx, process_clock

T = TypeVar("T")

GROUP = 64  # most operations per fsync
READERS = 3
BUSY_MS = 5_000  # only a backup tool can hold the lock


@dataclass(frozen=True, kw_only=True)
class _Request:
    operation: Operation[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class SqliteRunner:
    """A `Runner` on one file, which no other process may have open."""

    dialect = "sqlite"

    def __init__(
        self, path: Path, *, clock: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        self._path = path
        self._clock = process_clock(clock)
        self._new_id = new_id
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reader = threading.local()
        self._reader_conns: list[Connection] = []
        self._lock_file: IO[str] | None = None
        self._accepting = False

    async def open(self) -> None:
        """Lock the file, migrate, start the threads."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await asyncio.to_thread(self._prepare)
        # A failed open may have left a closing mark in the old queue.
        self._requests = queue.SimpleQueue()
        self._writer = threading.Thread(
            target=self._write_loop,
            args=(asyncio.get_running_loop(), opened),
            name="sqlite-writer",
            daemon=True,
        )
        self._writer.start()
        try:
            await opened
        except Exception:
            self._unlock()
            raise
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self._accepting = True

    async def close(self) -> None:
        """Close readers first, so that the writer alone checkpoints the WAL at the end."""
        self._accepting = False
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
            self._readers = None
        for conn in self._reader_conns:
            conn.close()
        self._reader_conns.clear()
        if self._writer is not None:
            self._requests.put(None)
            await asyncio.to_thread(self._writer.join)
            self._writer = None
        self._unlock()

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation on the writer thread."""
        self._require_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._requests.put(_Request(operation=operation, loop=loop, future=future))
        return await future

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation on a read-only connection."""
        self._require_open()
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._read, operation
        )

    def _require_open(self) -> None:
        if not self._accepting:
            raise StoreUnavailable("the store is closed")

    # -- readers --
    def _read(self, operation: Operation[T]) -> T:
        try:
            conn = getattr(self._reader, "conn", None)
            if conn is None:
                conn = self._reader.conn = _engine(
                    self._path, "PRAGMA query_only=ON"
                ).connect()
                self._reader_conns.append(conn)
            try:
                return operation(self._tx(conn))
            finally:
                conn.rollback()
        except Exception as error:
            raise translate(error) from error

    # -- the writer --
    def _write_loop(
        self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[None]
    ) -> None:
        try:
            conn = _engine(self._path, "PRAGMA synchronous=FULL").connect()
            with contextlib.closing(conn):
                raw = _raw(conn)
                raw.execute("PRAGMA journal_mode=WAL").fetchall()
                raw.execute("BEGIN IMMEDIATE")
                upgrade(conn)
                conn.commit()
                _resolve(loop, [(opened, None, None)])
                while group := self._next_group():
                    self._run_group(conn, raw, group)
        except Exception as error:
            self._accepting = False
            _resolve(loop, [(opened, None, translate(error))])
            for request in self._drain():
                _resolve(request.loop, [(request.future, None, translate(error))])

    def _next_group(self) -> list[_Request]:
        """Wait for a request and take the others that wait; empty when closing."""
        first = self._requests.get()
        if first is None:
            return []
        group = [first]
        with contextlib.suppress(queue.Empty):
            while len(group) < GROUP:
                request = self._requests.get_nowait()
                if request is None:
                    self._requests.put(None)  # after this group
                    break
                group.append(request)
        return group

    def _run_group(
        self, conn: Connection, raw: sqlite3.Connection, group: list[_Request]
    ) -> None:
        answers: list[tuple[_Request, Any, Exception | None]] = []
        try:
            raw.execute("BEGIN IMMEDIATE")
            tx = self._tx(conn)
            for request in group:
                if request.future.cancelled():
                    continue  # its caller went away before it started
                answers.append((request, *self._run_one(tx, raw, request.operation)))
            raw.execute("COMMIT")
        except Exception as error:
            # The group was rolled back, by SQLite (disk full) or here. No caller has an answer yet.
            with contextlib.suppress(sqlite3.Error):
                raw.rollback()
            fault = translate(error)
            answers = [(request, None, fault) for request in group]
        with contextlib.suppress(Exception):
            conn.rollback()  # ends the transaction in SQLAlchemy's state too
        by_loop: dict[asyncio.AbstractEventLoop, list[Any]] = defaultdict(list)
        for request, answer, failure in answers:
            by_loop[request.loop].append((request.future, answer, failure))
        for loop, settled in by_loop.items():
            _resolve(loop, settled)

    @staticmethod
    def _run_one(
        tx: Tx, raw: sqlite3.Connection, operation: Operation[Any]
    ) -> tuple[Any, Exception | None]:
        raw.execute("SAVEPOINT op")
        try:
            answer = operation(tx)
        except Exception as error:
            if not raw.in_transaction:
                raise  # SQLite has rolled the whole group back
            raw.execute("ROLLBACK TO op")
            raw.execute("RELEASE op")
            return None, translate(error)
        raw.execute("RELEASE op")
        return answer, None

    def _drain(self) -> Iterator[_Request]:
        with contextlib.suppress(queue.Empty):
            while True:
                request = self._requests.get_nowait()
                if request is not None:
                    yield request

    def _tx(self, conn: Connection) -> Tx:
        return Tx(conn=conn, clock=self._clock, new_id=self._new_id)

    # -- the lock of the file --
    def _prepare(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Open as long as the store.
            lock_file = Path(f"{self._path}.lock").open("a+")  # noqa: SIM115
        except OSError as error:
            raise StoreUnavailable(
                f"cannot open the data folder: {error}", fix="check its owner and mode"
            ) from error
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock_file.seek(0)
            holder = lock_file.read().strip() or "unknown"
            lock_file.close()
            raise StoreUnavailable(
                f"{self._path} is open in another process (pid {holder}), and SQLite has one "
                "writer",
                fix="stop that process, or set TRIMTAB_DATABASE_URL to a PostgreSQL database to "
                "share it",
            ) from error
        lock_file.truncate(0)
        lock_file.write(str(os.getpid()))
        lock_file.flush()
        self._lock_file = lock_file
        # Jobs may contain secrets, so only this user may read the file.
        self._path.touch(mode=0o600, exist_ok=True)

    def _unlock(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None


def _engine(path: Path, pragma: str) -> Engine:
    # isolation_level None: this module begins and ends transactions. No mmap_size: see
    # deploy/docs/adr/0003.
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 256,
        },
    )

    @event.listens_for(engine, "connect")
    def _prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(pragma)

    return engine


def _raw(conn: Connection) -> sqlite3.Connection:
    raw = conn.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _resolve(loop: asyncio.AbstractEventLoop, settled: list[Any]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: no caller waits
        loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, answer, failure in settled:
        if future.done():
            continue  # the caller went away; the write remains
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(answer)
