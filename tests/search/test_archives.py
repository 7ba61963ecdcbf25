"""Archives: ordinary ones are unpacked, hostile ones are refused."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from search.archives import ArchiveLimits, pattern, unpack
from search.types import InvalidInput

SMALL = ArchiveLimits(
    members=20, total_bytes=1 << 20, file_bytes=1 << 19, free_bytes=1 << 12, ratio=50
)


def tar(
    path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w:gz"
) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
            else:
                archive.addfile(member)
    return path


def zipped(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_source_tree_is_unpacked_unchanged(tmp_path: Path, mode: str) -> None:
    archive = tar(
        tmp_path / "a", [("p-1.0/src/a.c", b"int a;"), ("p-1.0/inc/a.h", b"")], mode
    )
    tree = unpack(archive, tmp_path / "out")
    assert (tree.top, tree.files) == ("p-1.0", ("inc/a.h", "src/a.c"))
    assert (tree.folder / "src/a.c").read_bytes() == b"int a;"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "out"], (
        "no temporary file is left"
    )


def test_zip_without_a_top_folder(tmp_path: Path) -> None:
    tree = unpack(
        zipped(tmp_path / "a.zip", [("a.c", b"1"), ("src/b.c", b"2")]), tmp_path / "out"
    )
    assert (tree.top, tree.files) == ("", ("a.c", "src/b.c"))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.c",
        "a/../../evil.c",
        "/etc/evil.c",
        "a\\..\\evil.c",
        "C:evil.c",
        "a\nb.c",
        "a/" * 40 + "b.c",
        "x" * 300,
    ],
)
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_paths_outside_the_folder_and_bad_names_are_refused(
    tmp_path: Path, name: str, form: str
) -> None:
    if form == "tar":
        archive = tar(tmp_path / "a.tar.gz", [("ok.c", b""), (name, b"evil")])
    else:
        archive = zipped(tmp_path / "a.zip", [("ok.c", b""), (name, b"evil")])
    with pytest.raises(InvalidInput, match="pack it again"):
        unpack(archive, tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("evil*"))


def test_links_are_left_out_and_nothing_is_written_through_them(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tar(
        tmp_path / "a.tar.gz",
        [
            special("d", tarfile.SYMTYPE, str(outside)),
            special("h", tarfile.LNKTYPE, "/etc/passwd"),
            ("d/x.c", b"int x;"),
        ],
    )
    tree = unpack(archive, tmp_path / "out")
    assert tree.left_out == ("d", "h")
    assert not any(outside.iterdir())
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_links_in_a_zip_are_left_out(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("l")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    tree = unpack(
        zipped(tmp_path / "a.zip", [(link, b"/etc/passwd"), ("a.c", b"")]),
        tmp_path / "out",
    )
    assert (tree.left_out, tree.files) == (("l",), ("a.c",))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InvalidInput, match="device"):
        unpack(
            tar(tmp_path / "a.tar.gz", [("a.c", b""), special("dev", kind)]),
            tmp_path / "out",
        )


def test_bombs_and_too_large_archives_are_refused(tmp_path: Path) -> None:
    bomb = tar(tmp_path / "a.tar.gz", [("a.c", b"\0" * 400_000)])
    with pytest.raises(InvalidInput, match="ratio of a decompression bomb"):
        unpack(bomb, tmp_path / "1", limits=SMALL)
    with pytest.raises(InvalidInput, match="ratio of a decompression bomb"):
        unpack(
            zipped(tmp_path / "a.zip", [("a.c", b"\0" * 400_000)]),
            tmp_path / "2",
            limits=SMALL,
        )
    many = tar(tmp_path / "b.tar", [(f"{i}.c", b"") for i in range(30)], "w")
    with pytest.raises(InvalidInput, match="at most 20 files"):
        unpack(many, tmp_path / "3", limits=SMALL)
    large = tar(tmp_path / "c.tar", [("a.c", b"x" * 600_000)], "w")
    with pytest.raises(InvalidInput, match="at most 524,288"):
        unpack(large, tmp_path / "4", limits=SMALL)
    sum_of_all = tar(
        tmp_path / "d.tar", [(f"{i}.c", b"x" * 300_000) for i in range(5)], "w"
    )
    with pytest.raises(InvalidInput, match="unpacks to more than"):
        unpack(sum_of_all, tmp_path / "5", limits=SMALL)


def test_names_that_collide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="twice"):
        unpack(
            tar(tmp_path / "a.tar", [("a.c", b"1"), ("./a.c", b"2")], "w"), tmp_path / "1"
        )
    with pytest.raises(InvalidInput, match="both a file and a folder"):
        unpack(
            tar(tmp_path / "b.tar", [("a", b"1"), ("a/b.c", b"2")], "w"), tmp_path / "2"
        )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\3\4 no zip",
        b"\x1f\x8b no gzip",
        b"plain text",
        gzip.compress(b"no tar" * 200, mtime=0),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"cannot be unpacked|at least one file"):
        unpack(path, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("a.c", b"int a;")])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InvalidInput, match="encrypted"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("glob", "path", "hit"),
    [
        ("*.c", "a.c", True),
        ("*.c", "src/a.c", False),
        ("src/*.c", "src/a.c", True),
        ("**/*.c", "a.c", True),
        ("**/*.c", "x/y/a.c", True),
        ("src/**", "src/x/a.c", True),
        ("a?.c", "ab.c", True),
        ("a?.c", "a/.c", False),
        ("a.c", "axc", False),
        ("a.c", "a.c\n", False),
    ],
)
def test_patterns_match_as_globs_do(glob: str, path: str, hit: bool) -> None:
    assert bool(pattern(glob).match(path)) is hit
