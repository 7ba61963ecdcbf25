"""Backup and restore of a server: one .tar with database, files and keys.

    python -m services.backup create DATA.tar [--data-dir DIR]     the server may run meanwhile
    python -m services.backup restore DATA.tar [--data-dir DIR]    into a folder without a server

A backup is consistent: the database is copied in one read transaction, which does not block
writers, and every file that it refers to is in the archive, checked against its digest. Jobs that
were running are queued again by the restored server when their leases end. With
TRIMTAB_DATABASE_URL, pg_dump copies the database, and pg_restore fills an empty one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from services.backup_types import BackupRefused, Contents, Database
from services.settings import Settings, SettingsRefused, load
from services.store.migrate import HEAD
from trimtab import __version__

DATABASE, MANIFEST = "trimtab.sqlite3", "manifest.json"
_DATABASES = {DATABASE: "SQLite", "database.pgdump": "PostgreSQL"}
_KEYS = ("admin.key", "session.key", "webhook.key")
_BLOB = re.compile(r"blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_SNAPSHOTS = 5  # files may be collected between a snapshot and their turn
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Contents of a backup."""

    version: str
    revision: str  # of the database's schema
    created_at: str
    database_sha256: str
    jobs: int
    events: int
    files: int
    file_bytes: int
    # Some may have lost their row while the backup ran. None: a backup of an older version.
    archived_files: int | None = None


class SqliteDatabase:
    """The database file in a data folder."""

    member, comes_last = DATABASE, True

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / DATABASE

    def snapshot(self, copy: Path) -> Contents:
        """See Database."""
        if not self._path.is_file():
            raise BackupRefused(
                f"{self._path}: expected the database of a server, got none"
            )
        _snapshot(self._path, copy)
        return _contents(copy)

    def require_empty(self) -> None:
        """See Database."""
        if self._path.exists():
            raise _in_use(self._path.parent)

    def restore(self, dump: Path) -> None:
        """See Database."""
        dump.replace(self._path)


def create(data_dir: Path, target: Path, *, database: Database | None = None) -> Manifest:
    """Write a backup. It is complete or absent, and readable by its owner alone.

    database: by default the file in the data folder.
    Raises BackupRefused for a target that exists and a folder without a database.
    """
    database = database or SqliteDatabase(data_dir)
    if target.exists():
        raise BackupRefused(f"{target} exists; give another name, or remove it")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    temporary = Path(name)
    try:
        with (
            os.fdopen(handle, "wb") as stream,
            tarfile.open(fileobj=stream, mode="w") as archive,
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
        ):
            manifest = _fill(archive, data_dir, Path(folder) / database.member, database)
            archive.close()
            stream.flush()
            os.fsync(stream.fileno())
        # link() refuses an existing target, as another backup may have been faster.
        os.link(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def _fill(
    archive: tarfile.TarFile, data_dir: Path, copy: Path, database: Database
) -> Manifest:
    held: dict[str, int] = {}
    for _ in range(_SNAPSHOTS):
        copy.unlink(missing_ok=True)
        contents = database.snapshot(copy)
        missing = [
            one
            for one in contents.digests
            if one not in held and not _add(archive, data_dir, one, held)
        ]
        if not missing:
            break
    else:
        raise BackupRefused(
            f"{len(missing)} files of the database are not in {data_dir / 'blobs'}, first "
            f"{missing[0]}; they are lost or on another disk"
        )
    for name in _KEYS:
        with contextlib.suppress(FileNotFoundError):
            _add_bytes(archive, name, (data_dir / name).read_bytes())
    manifest = _manifest(copy, contents, held)
    archive.add(copy, database.member)
    _add_bytes(archive, MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
    return manifest


def _snapshot(database: Path, copy: Path) -> None:
    """Copy the database in one read transaction."""
    for mode in ("ro", "rw"):  # without a server, a WAL may have to be opened for writing
        try:
            with (
                contextlib.closing(
                    sqlite3.connect(
                        f"{database.resolve().as_uri()}?mode={mode}", uri=True
                    )
                ) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                source.execute("PRAGMA busy_timeout=30000")
                source.backup(target, pages=-1)
                target.execute("PRAGMA journal_mode=DELETE")
                return
        except sqlite3.OperationalError:
            if mode == "rw":
                raise


def _digests(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT DISTINCT digest FROM artifact ORDER BY digest")
        return [str(digest) for (digest,) in rows]


def _add(
    archive: tarfile.TarFile, data_dir: Path, digest: str, held: dict[str, int]
) -> bool:
    """Add a file and return True; False when it is gone. Raises BackupRefused if it is damaged."""
    name = digest.removeprefix("sha256:")
    path = data_dir / "blobs" / name[:2] / name
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != name:
                raise BackupRefused(
                    f"{path}: expected the content of its digest, got other bytes: the disk or "
                    "somebody changed it; restore it from an older backup"
                )
            file.seek(0)
            information = archive.gettarinfo(
                arcname=f"blobs/{name[:2]}/{name}", fileobj=file
            )
            archive.addfile(information, file)
    except FileNotFoundError:
        return False
    held[digest] = information.size
    return True


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    information = tarfile.TarInfo(name)
    information.size, information.mode = len(data), 0o600
    information.mtime = int(time.time())
    archive.addfile(information, io.BytesIO(data))


def _contents(database: Path) -> Contents:
    """Read a copy of an SQLite database. Raises BackupRefused if it is damaged."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        faults = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if faults != "ok":
            raise BackupRefused(f"the database is damaged: {faults}")
        (revision,) = connection.execute(
            "SELECT version_num FROM alembic_version"
        ).fetchone()
        (jobs,) = connection.execute("SELECT count(*) FROM job").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    digests = tuple(_digests(database))
    return Contents(revision=revision, jobs=jobs, events=events, digests=digests)


def _manifest(copy: Path, contents: Contents, held: dict[str, int]) -> Manifest:
    """Describe a backup. `held`: the archive's files and sizes, also of earlier snapshots."""
    return Manifest(
        version=__version__,
        revision=contents.revision,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        database_sha256=_sha256(copy),
        jobs=contents.jobs,
        events=contents.events,
        files=len(contents.digests),
        file_bytes=sum(held[one] for one in contents.digests),
        archived_files=len(held),
    )


def restore(
    source: Path, data_dir: Path, *, database: Database | None = None
) -> Manifest:
    """Unpack a backup into a folder without a server. Nothing is left there if it is damaged.

    database: by default the file in the data folder.
    Raises BackupRefused for a folder in use, a damaged archive and one of a newer version.
    """
    database = database or SqliteDatabase(data_dir)
    if (data_dir / "blobs").exists():
        raise _in_use(data_dir)
    database.require_empty()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=data_dir) as folder:
        staged = Path(folder)
        try:
            with tarfile.open(source) as archive:
                manifest = _unpack(archive, staged, database.member)
        except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
            raise BackupRefused(f"{source}: expected a backup, got: {error}") from error
        if not database.comes_last:
            database.restore(staged / database.member)
        for name in ("blobs", *_KEYS):
            if (staged / name).exists():
                (staged / name).replace(data_dir / name)
        if database.comes_last:
            database.restore(staged / database.member)
    return manifest


def _in_use(data_dir: Path) -> BackupRefused:
    return BackupRefused(
        f"{data_dir}: expected a folder without a server's data, got one; restore into "
        "another --data-dir, or move that one away"
    )


def _unpack(archive: tarfile.TarFile, staged: Path, database: str) -> Manifest:
    """Write the members that a backup has, each checked, and return the manifest."""
    manifest: Manifest | None = None
    (staged / "blobs").mkdir(mode=0o700)
    for member in archive:
        blob = _BLOB.fullmatch(member.name)
        if member.name in _DATABASES and member.name != database:
            raise BackupRefused(
                f"{member.name}: expected a backup of {_DATABASES[database]}, got one of "
                f"{_DATABASES[member.name]}; set or clear TRIMTAB_DATABASE_URL"
            )
        if not member.isreg() or not (
            blob or member.name in (*_KEYS, database, MANIFEST)
        ):
            raise BackupRefused(
                f"{member.name[:200]!r}: expected a file of a backup, got that"
            )
        content = archive.extractfile(member)
        if content is None:
            raise BackupRefused(f"{member.name}: it cannot be read")
        if member.name == MANIFEST:
            manifest = Manifest(**json.loads(content.read(_BLOCK)))
            continue
        place = staged / member.name
        place.parent.mkdir(exist_ok=True, mode=0o700)
        with place.open("xb") as file:
            shutil.copyfileobj(content, file, _BLOCK)
        place.chmod(0o400 if blob else 0o600)
        if blob and _sha256(place) != blob[2]:
            raise BackupRefused(f"{member.name}: the content does not have its digest")
    if manifest is None:
        raise BackupRefused("expected a manifest at the end, got none: it is cut off")
    _check(manifest, staged, database)
    return manifest


def _check(manifest: Manifest, staged: Path, database: str) -> None:
    """Raise BackupRefused unless database and files are what the manifest says."""
    if manifest.revision > HEAD:
        raise BackupRefused(
            f"the backup is of a newer version (schema {manifest.revision}, this one has {HEAD}); "
            f"restore it with trimtab {manifest.version}"
        )
    copy = staged / database
    if not copy.is_file() or _sha256(copy) != manifest.database_sha256:
        raise BackupRefused("the database is damaged or absent: its digest differs")
    if database != DATABASE:
        # The files of a dump cannot be listed; each one here has its digest, so counting does.
        there = sum(1 for _ in (staged / "blobs").glob("*/*"))
        if there != manifest.archived_files:
            raise BackupRefused(
                f"expected {manifest.archived_files} files, got {there}: some are absent"
            )
        return
    lost = [
        digest
        for digest in _digests(copy)
        if not (staged / "blobs" / digest[7:9] / digest[7:]).is_file()
    ]
    if lost:
        raise BackupRefused(f"{len(lost)} files are absent, first {lost[0]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(argv: list[str]) -> int:
    """Run a command; prints the manifest as JSON. Returns 1 for a refusal, 2 for bad settings."""
    parser = argparse.ArgumentParser(
        prog="python -m services.backup", description=__doc__
    )
    parser.add_argument("command", choices=("create", "restore"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--data-dir", type=Path, help="default: TRIMTAB_DATA_DIR")
    options = parser.parse_args(argv)
    try:
        chosen = {} if options.data_dir is None else {"data_dir": options.data_dir}
        settings: Settings = load(**chosen)
    except SettingsRefused as error:
        print(error, file=sys.stderr)
        return 2
    database: Database = SqliteDatabase(settings.data_dir)
    if settings.database_url is not None:
        from services.backup_postgres import PostgresDatabase

        database = PostgresDatabase(settings.database_url.get_secret_value())
    act = create if options.command == "create" else restore
    first, second = (
        (settings.data_dir, options.file)
        if options.command == "create"
        else (options.file, settings.data_dir)
    )
    try:
        manifest = act(first, second, database=database)
    except (BackupRefused, OSError, sqlite3.Error) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(manifest)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
