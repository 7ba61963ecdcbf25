"""What a batch run has done, kept as JSON lines: appended and synced, so that a run killed at any moment can go on."""

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
    """Another batch run writes this file."""


class BadJournal(ValueError):
    """The file holds something else than a journal, or results of other jobs."""


class Journal:
    """An append-only file of records, one to a line. A line that was torn by a crash is cut off."""

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
            raise JournalInUse(f"another batch run writes {path}") from error
        if not resume and self._file.tell() > 0:
            self._file.close()
            raise BadJournal(
                f"{path} exists; go on with it by --resume, or give another --out"
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
        """On the disk when this returns."""
        self._file.write(orjson.dumps(dict(record)) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(record)

    def records(self) -> Iterator[Json]:
        """All of them, in order of completion."""
        with self.path.open("rb") as file:
            yield from map(orjson.loads, file)

    def _recover(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break  # torn: its job runs again
            try:
                record = orjson.loads(line)
                self._note(record)
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                if self._file.tell() < self.path.stat().st_size:
                    self._file.close()
                    raise BadJournal(
                        f"{self.path} is no output of a batch run: {error!r} at byte {whole}"
                    ) from error
                break
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def _note(self, record: Mapping[str, Any]) -> None:
        self.done[str(record["id"])] = str(record["digest"])
        state = str(record["state"])
        self.states[state] = self.states.get(state, 0) + 1


def write_parquet(journal: Journal, path: Path) -> None:
    """The journal as one table: the figures as columns, the whole result as JSON text. Whole or not at all."""
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
