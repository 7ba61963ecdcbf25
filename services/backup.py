"""Backup and restore of a server on SQLite: one .tar with database, files and keys.

    python -m services.backup create DATA.tar [--data-dir DIR]     the server may run meanwhile
    python -m services.backup restore DATA.tar [--data-dir DIR]    into a folder without a server

A backup is consistent: the database is copied in one read transaction, which does not block
writers, and every file that it refers to is in the archive, checked against its digest. Jobs that
were running are queued again by the restored server when their leases end. PostgreSQL has tools of
its own.
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

from services.settings import Settings, SettingsRefused, load
from services.store.migrate import HEAD
from trimtab import __version__

DATABASE, MANIFEST = "trimtab.sqlite3", "manifest.json"
_KEYS = ("admin.key", "session.key", "webhook.key")
_BLOB = re.compile(r"blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_SNAPSHOTS = 5  # files may be collected between a snapshot and their turn
_BLOCK = 1 << 20


class BackupRefused(Exception):
    """A backup or restore that cannot be done; the message says why and what to do."""


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


def create(data_dir: Path, target: Path) -> Manifest:
    """Write a backup. It is complete or absent, and readable by its owner alone.

    Raises BackupRefused for a target that exists and a folder without a database.
    """
    database = data_dir / DATABASE
    if not database.is_file():
        raise BackupRefused(f"{database}: expected the database of a server, got none")
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
            manifest = _fill(archive, data_dir, Path(folder) / DATABASE)
            archive.close()
            stream.flush()
            os.fsync(stream.fileno())
        # link() refuses an existing target, as another backup may have been faster.
        os.link(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def _fill(archive: tarfile.TarFile, data_dir: Path, copy: Path) -> Manifest:
    held: dict[str, int] = {}
    for _ in range(_SNAPSHOTS):
        copy.unlink(missing_ok=True)
        _snapshot(data_dir / DATABASE, copy)
        digests = _digests(copy)
        missing = [
            one
            for one in digests
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
    manifest = _manifest(copy, {one: held[one] for one in digests})
    archive.add(copy, DATABASE)
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


def _manifest(database: Path, files: dict[str, int]) -> Manifest:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        faults = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if faults != "ok":
            raise BackupRefused(f"the database is damaged: {faults}")
        (revision,) = connection.execute(
            "SELECT version_num FROM alembic_version"
        ).fetchone()
        (jobs,) = connection.execute("SELECT count(*) FROM job").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    with database.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Manifest(
        version=__version__,
        revision=revision,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        database_sha256=digest,
        jobs=jobs,
        events=events,
        files=len(files),
        file_bytes=sum(files.values()),
    )


def restore(source: Path, data_dir: Path) -> Manifest:
    """Unpack a backup into a folder without a server. Nothing is left there if it is damaged.

    Raises BackupRefused for a folder in use, a damaged archive and one of a newer version.
    """
    if (data_dir / DATABASE).exists() or (data_dir / "blobs").exists():
        raise BackupRefused(
            f"{data_dir}: expected a folder without a server's data, got one; restore into "
            "another --data-dir, or move that one away"
        )
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=data_dir) as folder:
        staged = Path(folder)
        try:
            with tarfile.open(source) as archive:
                manifest = _unpack(archive, staged)
        except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
            raise BackupRefused(f"{source}: expected a backup, got: {error}") from error
        # The database comes last: a folder without one is no server's.
        for name in ("blobs", *_KEYS, DATABASE):
            if (staged / name).exists():
                (staged / name).replace(data_dir / name)
    return manifest


def _unpack(archive: tarfile.TarFile, staged: Path) -> Manifest:
    """Write the members that a backup has, each checked, and return the manifest."""
    manifest: Manifest | None = None
    (staged / "blobs").mkdir(mode=0o700)
    for member in archive:
        blob = _BLOB.fullmatch(member.name)
        if not member.isreg() or not (
            blob or member.name in (*_KEYS, DATABASE, MANIFEST)
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
    _check(manifest, staged)
    return manifest


def _check(manifest: Manifest, staged: Path) -> None:
    """Raise BackupRefused unless database and files are what the manifest says."""
    if manifest.revision > HEAD:
        raise BackupRefused(
            f"the backup is of a newer version (schema {manifest.revision}, this one has {HEAD}); "
            f"restore it with trimtab {manifest.version}"
        )
    database = staged / DATABASE
    if not database.is_file() or _sha256(database) != manifest.database_sha256:
        raise BackupRefused("the database is damaged or absent: its digest differs")
    lost = [
        digest
        for digest in _digests(database)
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
    if settings.database_url is not None:
        print(
            "backup: expected a server on SQLite, got PostgreSQL: use pg_dump and pg_restore, and "
            f"copy {settings.data_dir / 'blobs'} after the dump",
            file=sys.stderr,
        )
        return 2
    act = create if options.command == "create" else restore
    first, second = (
        (settings.data_dir, options.file)
        if options.command == "create"
        else (options.file, settings.data_dir)
    )
    try:
        manifest = act(first, second)
    except (BackupRefused, OSError, sqlite3.Error) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(manifest)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
