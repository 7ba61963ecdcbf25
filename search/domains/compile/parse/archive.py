"""Archives of strangers, unpacked: only plain files, only inside one folder, only so many and so large.

What could hurt is refused with its name: a path that leaves the folder, a device, a sparse or encrypted member, two members of
one name, a bomb. Links are left out and told: a source tree needs none, and a link is how files outside are reached.
"""

from __future__ import annotations

import gzip
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from search.types import InvalidInput

_CHUNK = 1 << 20
_BLOCK = 512
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    OSError,
    EOFError,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may hold."""

    members: int = 20_000
    total_bytes: int = 256 * 2**20
    file_bytes: int = 64 * 2**20
    ratio: float = 200.0  # unpacked to packed bytes, looked at above `free_bytes`
    free_bytes: int = 8 * 2**20
    name_bytes: int = 400
    depth: int = 32


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A source tree on disk."""

    folder: Path  # of the program: the archive's single top folder, when it has just one, else where it was unpacked
    top: str  # name of that single top folder, or ""
    files: tuple[str, ...]  # relative to `folder`, sorted
    left_out: tuple[str, ...]  # links


@dataclass(frozen=True, kw_only=True)
class _Member:
    name: str
    size: int
    stream: IO[bytes]


def unpack(
    archive: Path, into: Path, *, name: str = "", limits: ArchiveLimits | None = None
) -> Unpacked:
    """Unpack a .tar, .tar.gz or .zip (told by content). `into` is made and must not exist. Raises InvalidInput."""
    limits, name = limits or ArchiveLimits(), name or archive.name
    into.mkdir(parents=True)
    packed = archive.stat().st_size
    files: set[str] = set()
    links: list[str] = []
    total = 0
    try:
        for member in _members(archive, into, links, name, limits):
            if member.name in files:
                raise InvalidInput(
                    f"{name}: the member {shown(member.name)} is there twice; one would hide the other: pack it once"
                )
            if len(files) >= limits.members:
                raise InvalidInput(
                    f"{name}: more than {limits.members:,} files; send only what the program needs"
                )
            files.add(member.name)
            total = _write(member, into, total, packed, name, limits)
    except InvalidInput:
        raise
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's fault (no room, a file too large), not the archive's
        raise InvalidInput(
            f"{name}: cannot be unpacked ({type(error).__name__}: {str(error)[:200]}); pack it again as .tar.gz or .zip"
        ) from error
    if not files:
        raise InvalidInput(f"{name}: no file is in it")
    tops = {path.partition("/")[0] for path in files}
    top = next(iter(tops)) if len(tops) == 1 and all("/" in path for path in files) else ""
    return Unpacked(
        folder=into / top,
        top=top,
        files=tuple(
            sorted(path.removeprefix(f"{top}/") if top else path for path in files)
        ),
        left_out=tuple(links),
    )


def pattern(glob: str) -> re.Pattern[str]:
    """A path pattern as a regular expression: `*` and `?` stay inside one folder, `**/` is any folders or none."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts) + r"\Z")


def checked_name(raw: str, *, archive: str, limits: ArchiveLimits) -> str:
    """The member's path, normalised. Raises InvalidInput when it would leave its folder or no file system takes it."""

    def refused(why: str) -> InvalidInput:
        return InvalidInput(
            f"{archive}: the member {shown(raw)} {why}; pack it again with plain relative paths"
        )

    if raw.startswith("/") or "\\" in raw or re.match(r"[A-Za-z]:", raw):
        raise refused("has an absolute path or backslashes")
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused("leaves its folder by ..")
    if not parts or any(ord(character) < 32 or ord(character) == 127 for character in raw):
        raise refused("has an empty name or one with control characters")
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise refused("has a name that is no Unicode text") from None
    if len(parts) > limits.depth or sum(lengths) > limits.name_bytes or max(lengths) > 255:
        raise refused("is nested too deeply or its name is too long")
    return "/".join(parts)


def shown(name: str) -> str:
    """A hostile name in an error message."""
    return repr(name if len(name) <= 120 else name[:119] + "…")


def _members(
    archive: Path, into: Path, links: list[str], name: str, limits: ArchiveLimits
) -> Iterator[_Member]:
    with archive.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"PK":
        yield from _zip_members(archive, links, name, limits)
    elif magic[:2] == b"\x1f\x8b":
        # Unpacked to a file first: a bomb is seen while it swells, and tarfile cannot be led into a huge header.
        plain = into.with_name(into.name + ".tar")
        try:
            _gunzip(archive, plain, name, limits)
            yield from _tar_members(plain, links, name, limits)
        finally:
            plain.unlink(missing_ok=True)
    else:
        yield from _tar_members(archive, links, name, limits)


def _gunzip(archive: Path, plain: Path, name: str, limits: ArchiveLimits) -> None:
    most = limits.total_bytes + 2 * _BLOCK * limits.members
    packed = archive.stat().st_size
    done = 0
    with gzip.open(archive, "rb") as source, plain.open("wb") as target:
        while block := source.read(_CHUNK):
            done += len(block)
            _check_swelling(done, packed, most, name, limits)
            target.write(block)


def _tar_members(
    file: Path, links: list[str], name: str, limits: ArchiveLimits
) -> Iterator[_Member]:
    with tarfile.open(file, "r:") as archive:
        for seen, member in enumerate(archive):
            if seen > 4 * limits.members:
                raise InvalidInput(
                    f"{name}: more than {4 * limits.members:,} members; send only what the program needs"
                )
            if member.isdir():
                checked_name(member.name, archive=name, limits=limits) if member.name.strip(
                    "./"
                ) else None
                continue
            path = checked_name(member.name, archive=name, limits=limits)
            if member.issym() or member.islnk():
                links.append(path)
                continue
            if not member.isreg() or member.issparse():
                raise InvalidInput(
                    f"{name}: the member {shown(member.name)} is a device, a pipe or a sparse file; wanted plain files"
                )
            stream = archive.extractfile(member)
            if stream is not None:
                yield _Member(name=path, size=member.size, stream=stream)


def _zip_members(
    file: Path, links: list[str], name: str, limits: ArchiveLimits
) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > 4 * limits.members:
            raise InvalidInput(
                f"{name}: more than {4 * limits.members:,} members; send only what the program needs"
            )
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir():
                checked_name(entry.filename, archive=name, limits=limits)
                continue
            path = checked_name(entry.filename, archive=name, limits=limits)
            if kind == stat.S_IFLNK:
                links.append(path)
                continue
            if kind not in (0, stat.S_IFREG):
                raise InvalidInput(
                    f"{name}: the member {shown(entry.filename)} is a device or a pipe; wanted plain files"
                )
            if entry.flag_bits & 1 or entry.compress_type not in (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
            ):
                raise InvalidInput(
                    f"{name}: the member {shown(entry.filename)} is encrypted or packed by a method other than deflate"
                )
            with archive.open(entry) as stream:
                yield _Member(name=path, size=entry.file_size, stream=stream)


def _write(
    member: _Member, into: Path, total: int, packed: int, name: str, limits: ArchiveLimits
) -> int:
    """Write one file; returns the bytes written so far. Sizes that a header claims are checked, and then counted anyway."""
    if member.size > limits.file_bytes:
        raise InvalidInput(
            f"{name}: {shown(member.name)} has {member.size:,} bytes; at most {limits.file_bytes:,} are taken"
        )
    path = into / member.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while block := member.stream.read(_CHUNK):
                total += len(block)
                _check_swelling(total, packed, limits.total_bytes, name, limits)
                file.write(block)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise InvalidInput(
            f"{name}: the name {shown(member.name)} is both a file and a folder; one would hide the other"
        ) from None
    return total


def _check_swelling(
    done: int, packed: int, most: int, name: str, limits: ArchiveLimits
) -> None:
    if done > most:
        raise InvalidInput(
            f"{name}: unpacks to more than {most:,} bytes; send only what the program needs"
        )
    if done > limits.free_bytes and done > limits.ratio * packed:
        raise InvalidInput(
            f"{name}: {packed:,} bytes unpack to more than {limits.ratio:g} times as many: refused as a bomb"
        )
