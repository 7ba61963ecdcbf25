"""Journal of a batch run: JSON lines, appended and synced, so that a killed run can be resumed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

Json = dict[str, Any]


class JournalInUse(RuntimeError):
    """Another batch run is writing this file."""


class BadJournal(ValueError):
    """The file is not a journal, or has results of other jobs."""


class Journal:
    """An append-only file of records, one per line. A line that a crash cut short is removed."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.done: dict[str, str] = {}  # id → digest of the request
        self.states: dict[str, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise JournalInUse(f"another batch run is writing {path}") from error
        if not resume and self._file.tell() > 0:
            self._file.close()
            raise BadJournal(
                f"{path} exists; continue it with --resume, or give another --out"
            )
        self._recover()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        t: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a record; it is on disk when this returns."""
        self._file.write(orjson.dumps(dict(record)) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._count(record)

    def records(self) -> Iterator[Json]:
        """Yield all records, in order of completion."""
        with self.path.open("rb") as file:
            yield from map(orjson.loads, file)

    def _recover(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break  # cut short by a crash: its job runs again
            try:
                record = orjson.loads(line)
                self._count(record)
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                if self._file.tell() < self.path.stat().st_size:
                    self._file.close()
                    raise BadJournal(
                        f"{self.path}: expected the output of a batch run, got {error!r} at "
                        f"byte {whole}"
                    ) from error
                break
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def _count(self, record: Mapping[str, Any]) -> None:
        self.done[str(record["id"])] = str(record["digest"])
        state = str(record["state"])
        self.states[state] = self.states.get(state, 0) + 1


def write_parquet(journal: Journal, path: Path) -> None:
    """Write the journal as one table, atomically: figures as columns, the result as JSON text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("id", pa.string()),
            ("line", pa.int64()),
            ("digest", pa.string()),
            ("kind", pa.string()),
            ("state", pa.string()),
            ("reason", pa.string()),
            ("limit", pa.string()),
            ("detail", pa.string()),
            ("attempts", pa.int64()),
            ("seconds", pa.float64()),
            ("seed", pa.int64()),
            ("objective", pa.float64()),
            ("bound", pa.float64()),
            ("gap", pa.float64()),
            ("primal_integral", pa.float64()),
            ("verification", pa.string()),
            ("result", pa.string()),
        ]
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            rows: list[Json] = []
            for record in journal.records():
                rows.append(_row(record))
                if len(rows) == 1_000:
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                    rows.clear()
            if rows:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _row(record: Json) -> Json:
    result = record["result"] or {}
    termination = record["termination"]
    return {
        **{
            name: record[name]
            for name in ("id", "line", "digest", "kind", "state", "attempts", "seconds")
        },
        **{name: termination.get(name) for name in ("reason", "limit", "detail")},
        **{
            name: result.get(name)
            for name in ("seed", "objective", "bound", "gap", "primal_integral")
        },
        "verification": (result.get("verification") or {}).get("status"),
        "result": None if record["result"] is None else orjson.dumps(result).decode(),
    }
