"""Backup of a database that is being written, and restores of good and bad archives."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sqlite3
import tarfile
import threading
from pathlib import Path

import pytest

from services.backup import DATABASE, BackupRefused, Manifest, create, main, restore
from services.store.migrate import HEAD


def server_folder(folder: Path, files: int = 3) -> Path:
    """Make a data folder with the tables that a backup reads, and some files."""
    data = folder / "data"
    data.mkdir()
    with contextlib.closing(sqlite3.connect(data / DATABASE)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(
            "CREATE TABLE alembic_version (version_num TEXT);"
            "CREATE TABLE job (id INTEGER PRIMARY KEY, events INTEGER);"
            "CREATE TABLE event (job INTEGER);"
            "CREATE TABLE artifact (digest TEXT)"
        )
        connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD,))
        for number in range(files):
            content = f"file {number}".encode()
            name = hashlib.sha256(content).hexdigest()
            place = data / "blobs" / name[:2] / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            for _ in range(2):
                connection.execute("INSERT INTO artifact VALUES (?)", (f"sha256:{name}",))
        connection.commit()
    (data / "admin.key").write_text("tt_secret")
    return data


def rows(folder: Path) -> tuple[int, int]:
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        (told,) = connection.execute(
            "SELECT coalesce(sum(events), 0) FROM job"
        ).fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    return int(told), int(events)


def test_a_database_that_is_being_written(tmp_path: Path) -> None:
    data = server_folder(tmp_path)
    done, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        with contextlib.closing(
            sqlite3.connect(data / DATABASE, timeout=30)
        ) as connection:
            while not done.is_set():
                with connection:
                    cursor = connection.execute("INSERT INTO job (events) VALUES (5)")
                    connection.executemany(
                        "INSERT INTO event VALUES (?)", [(cursor.lastrowid,)] * 5
                    )
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        manifests = [create(data, tmp_path / f"{number}.tar") for number in range(5)]
    finally:
        done.set()
        writer.join()
    for number, manifest in enumerate(manifests):
        restored = tmp_path / f"restored{number}"
        assert restore(tmp_path / f"{number}.tar", restored) == manifest
        told, events = rows(restored)
        assert told == events == manifest.events, "no transaction is torn"
        assert (manifest.files, manifest.file_bytes) == (3, 18)
        assert (restored / "admin.key").read_text() == "tt_secret"
    assert manifests[0].jobs <= manifests[-1].jobs <= written
    assert oct((tmp_path / "0.tar").stat().st_mode)[-3:] == "600", "keys are inside"


def test_a_stopped_server_and_an_empty_one(tmp_path: Path) -> None:
    data = server_folder(tmp_path, files=0)
    create(data, tmp_path / "b.tar")
    assert restore(tmp_path / "b.tar", tmp_path / "new").files == 0


def test_a_file_that_was_collected_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services import backup

    data = server_folder(tmp_path)
    snapshot, taken = backup._snapshot, 0

    def collect(database: Path, copy: Path) -> None:
        nonlocal taken
        snapshot(database, copy)
        taken += 1
        if taken == 1:
            victim = next((data / "blobs").glob("*/*"))
            with contextlib.closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(
                    "DELETE FROM artifact WHERE digest = ?", (f"sha256:{victim.name}",)
                )
            victim.unlink()

    monkeypatch.setattr(backup, "_snapshot", collect)
    assert create(data, tmp_path / "b.tar").files == 2
    assert taken == 2
    assert restore(tmp_path / "b.tar", tmp_path / "new").files == 2


def test_lost_and_changed_files_are_named(tmp_path: Path) -> None:
    data = server_folder(tmp_path)
    victim = next((data / "blobs").glob("*/*"))
    victim.write_bytes(b"other")
    with pytest.raises(BackupRefused, match="expected the content of its digest"):
        create(data, tmp_path / "b.tar")
    victim.unlink()
    with pytest.raises(BackupRefused, match="1 files of the database are not in"):
        create(data, tmp_path / "b.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"], "no remains"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    data = server_folder(tmp_path)
    create(data, tmp_path / "b.tar")
    with pytest.raises(BackupRefused, match="exists; give another name"):
        create(data, tmp_path / "b.tar")
    with pytest.raises(BackupRefused, match="expected a folder without a server's data"):
        restore(tmp_path / "b.tar", data)
    with pytest.raises(
        BackupRefused, match="expected the database of a server, got none"
    ):
        create(tmp_path / "absent", tmp_path / "c.tar")


def changed(source: Path, target: Path, name: str, data: bytes | None) -> None:
    """Copy an archive with one member replaced, left out (None), or added."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        names = old.getnames()
        for member in [
            *old.getmembers(),
            *([] if name in names else [tarfile.TarInfo(name)]),
        ]:
            content = old.extractfile(member).read() if member.name in names else b""  # type: ignore[union-attr]
            if member.name == name:
                if data is None:
                    continue
                content = data
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil", "expected a file of a backup"),
        ("/etc/cron.d/evil", "expected a file of a backup"),
        ("blobs/ab/../../evil", "expected a file of a backup"),
        ("blobs/ab/" + "ab" * 32, "does not have its digest"),
        (DATABASE, "the database is damaged or absent"),
        ("manifest.json", "expected a backup, got"),
    ],
)
def test_a_changed_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, name: str, message: str
) -> None:
    create(server_folder(tmp_path), tmp_path / "b.tar")
    changed(tmp_path / "b.tar", tmp_path / "bad.tar", name, b"evil")
    with pytest.raises(BackupRefused, match=message):
        restore(tmp_path / "bad.tar", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_links_newer_versions_and_cut_archives_are_refused(tmp_path: Path) -> None:
    create(server_folder(tmp_path), tmp_path / "b.tar")
    link = tarfile.TarInfo("admin.key")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(BackupRefused, match="expected a file of a backup"):
        restore(tmp_path / "link.tar", tmp_path / "new")
    with tarfile.open(tmp_path / "b.tar") as archive:
        told = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        blob = next(name for name in archive.getnames() if name.startswith("blobs"))
    newer = json.dumps({**told, "revision": "9999"}).encode()
    changed(tmp_path / "b.tar", tmp_path / "newer.tar", "manifest.json", newer)
    with pytest.raises(BackupRefused, match="newer version"):
        restore(tmp_path / "newer.tar", tmp_path / "new")
    changed(tmp_path / "b.tar", tmp_path / "less.tar", blob, None)
    with pytest.raises(BackupRefused, match="1 files are absent"):
        restore(tmp_path / "less.tar", tmp_path / "new")
    changed(tmp_path / "b.tar", tmp_path / "cut.tar", "manifest.json", None)
    with pytest.raises(BackupRefused, match="expected a manifest at the end"):
        restore(tmp_path / "cut.tar", tmp_path / "new")
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(BackupRefused, match="expected a backup"):
        restore(tmp_path / "text.tar", tmp_path / "new")
    assert Manifest(**told).files == 3


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIMTAB_DATABASE_URL", raising=False)
    data = server_folder(tmp_path)
    target = str(tmp_path / "b.tar")
    assert main(["create", target, "--data-dir", str(data)]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 3
    assert main(["create", target, "--data-dir", str(data)]) == 1
    assert main(["restore", target, "--data-dir", str(tmp_path / "new")]) == 0
    monkeypatch.setenv("TRIMTAB_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/db")
    assert main(["create", str(tmp_path / "c.tar"), "--data-dir", str(data)]) == 1
    told = capsys.readouterr().err
    assert "create: PostgreSQL: " in told
    assert "u:p" not in told


def test_a_real_server_is_restored_with_nothing_lost(tmp_path: Path) -> None:
    from trimtab import Client, IlpSpec
    from workers.bench.service.harness import running_server

    lp = "Maximize\n o: x\nSubject To\n a: x + y <= 4\nEnd\n"
    with (
        running_server(tmp_path / "old", sandbox="rlimit") as server,
        Client(server.url, api_key=server.key) as client,
    ):
        job = client.submit(IlpSpec(model_text=lp), seconds=60)
        before = job.result(timeout_s=120)
        key = server.key
        manifest = create(tmp_path / "old", tmp_path / "b.tar")
    assert manifest.jobs == 1
    assert manifest.files >= len(before.artifacts)
    restore(tmp_path / "b.tar", tmp_path / "new")
    with (
        running_server(tmp_path / "new", sandbox="rlimit") as server,
        Client(server.url, api_key=key) as client,
    ):
        again = client.job(job.id)
        assert again.result() == before
        saved = again.download("solution.sol", tmp_path / "solution.sol")
        assert saved.read_text().startswith("=obj= 4")
