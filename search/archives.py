"""Unpack untrusted archives: plain files only, in one folder, limited in number and size.

Refused, with the member's name: a path that leaves the folder, a device, a sparse or encrypted
member, two members of one name, a bomb. Links are left out and reported: a source tree needs
none, and a link could reach files outside.
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

_CHUNK = 1 << 20  # bytes read at once
_BLOCK = 512  # bytes of a tar header
_MEMBERS_PER_FILE = 4  # folders and links count too
_COMPONENT_BYTES = 255  # of one part of a path, as file systems allow
_NAME_CHARS, _DETAIL_CHARS = 120, 200  # shown in messages
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
    """Limits of an archive."""

    members: int = 20_000
    total_bytes: int = 256 * 2**20
    file_bytes: int = 64 * 2**20
    ratio: float = 200.0  # of unpacked to packed bytes, once `free_bytes` are unpacked
    free_bytes: int = 8 * 2**20
    name_bytes: int = 400
    depth: int = 32


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A source tree on disk."""

    folder: Path  # the archive's single top folder if it has just one, else where it was unpacked
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
    """Unpack a .tar, .tar.gz or .zip, recognised by content. Raises InvalidInput.

    The folder `into` is created and must not exist. `name` is the archive's name in messages.
    """
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
                    f"{name}: the member {shown(member.name)} is there twice, and one would hide "
                    "the other; pack it once"
                )
            if len(files) >= limits.members:
                raise InvalidInput(
                    f"{name}: expected at most {limits.members:,} files, got more; send only what "
                    "the program needs"
                )
            files.add(member.name)
            total = _write(member, into, total, packed, name, limits)
    except InvalidInput:
        raise
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a fault of this machine (no room, a file too large), not of the archive
        raise InvalidInput(
            f"{name}: cannot be unpacked ({type(error).__name__}: "
            f"{str(error)[:_DETAIL_CHARS]}); pack it again as .tar.gz or .zip"
        ) from error
    if not files:
        raise InvalidInput(f"{name}: expected at least one file, got none")
    tops = {path.partition("/")[0] for path in files}
    top = (
        next(iter(tops)) if len(tops) == 1 and all("/" in path for path in files) else ""
    )
    return Unpacked(
        folder=into / top,
        top=top,
        files=tuple(
            sorted(path.removeprefix(f"{top}/") if top else path for path in files)
        ),
        left_out=tuple(links),
    )


def pattern(glob: str) -> re.Pattern[str]:
    """Translate a path pattern: `*` and `?` stay in one folder, `**/` is any folders or none."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts) + r"\Z")


def checked_name(raw: str, *, archive: str, limits: ArchiveLimits) -> str:
    """Return the member's path, normalised.

    Raises InvalidInput when it would leave its folder, or is no name for a file system.
    """

    def refused(why: str) -> InvalidInput:
        return InvalidInput(
            f"{archive}: the member {shown(raw)} {why}; pack it again with plain relative paths"
        )

    if raw.startswith("/") or "\\" in raw or re.match(r"[A-Za-z]:", raw):
        raise refused("has an absolute path or backslashes")
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused("leaves its folder by ..")
    if not parts or any(
        ord(character) < 32 or ord(character) == 127 for character in raw
    ):
        raise refused("has an empty name or one with control characters")
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise refused("has a name that is not Unicode text") from None
    if (
        len(parts) > limits.depth
        or sum(lengths) > limits.name_bytes
        or max(lengths) > _COMPONENT_BYTES
    ):
        raise refused("is nested too deeply or its name is too long")
    return "/".join(parts)


def shown(name: str) -> str:
    """Quote and shorten a hostile name for an error message."""
    return repr(name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…")


def _members(
    archive: Path, into: Path, links: list[str], name: str, limits: ArchiveLimits
) -> Iterator[_Member]:
    with archive.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"PK":
        yield from _zip_members(archive, links, name, limits)
    elif magic[:2] == b"\x1f\x8b":
        # Unpacked to a file first, so that a bomb is noticed while it grows, and tarfile is not led
        # into a huge header.
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
            _check_growth(done, packed, most, name, limits)
            target.write(block)


def _tar_members(
    file: Path, links: list[str], name: str, limits: ArchiveLimits
) -> Iterator[_Member]:
    with tarfile.open(file, "r:") as archive:
        for number, member in enumerate(archive):
            if number > _MEMBERS_PER_FILE * limits.members:
                raise _too_many_members(name, limits)
            if member.isdir():
                if member.name.strip("./"):
                    checked_name(member.name, archive=name, limits=limits)
                continue
            path = checked_name(member.name, archive=name, limits=limits)
            if member.issym() or member.islnk():
                links.append(path)
                continue
            if not member.isreg() or member.issparse():
                raise InvalidInput(
                    f"{name}: the member {shown(member.name)}: expected a plain file, got a "
                    "device, a pipe or a sparse file"
                )
            stream = archive.extractfile(member)
            if stream is not None:
                yield _Member(name=path, size=member.size, stream=stream)


def _zip_members(
    file: Path, links: list[str], name: str, limits: ArchiveLimits
) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > _MEMBERS_PER_FILE * limits.members:
            raise _too_many_members(name, limits)
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
                    f"{name}: the member {shown(entry.filename)}: expected a plain file, got a "
                    "device or a pipe"
                )
            if entry.flag_bits & 1 or entry.compress_type not in (
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
            ):
                raise InvalidInput(
                    f"{name}: the member {shown(entry.filename)} is encrypted or packed by a "
                    "method other than deflate"
                )
            with archive.open(entry) as stream:
                yield _Member(name=path, size=entry.file_size, stream=stream)


def _write(
    member: _Member, into: Path, total: int, packed: int, name: str, limits: ArchiveLimits
) -> int:
    """Write one file and return the bytes written so far.

    The size in the header is checked, and then the bytes are counted too.
    """
    if member.size > limits.file_bytes:
        raise InvalidInput(
            f"{name}: {shown(member.name)}: expected at most {limits.file_bytes:,} bytes, got "
            f"{member.size:,}"
        )
    path = into / member.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while block := member.stream.read(_CHUNK):
                total += len(block)
                _check_growth(total, packed, limits.total_bytes, name, limits)
                file.write(block)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise InvalidInput(
            f"{name}: the name {shown(member.name)} is both a file and a folder, and one would "
            "hide the other"
        ) from None
    return total


def _check_growth(
    done: int, packed: int, most: int, name: str, limits: ArchiveLimits
) -> None:
    if done > most:
        raise InvalidInput(
            f"{name}: unpacks to more than {most:,} bytes; send only what the program needs"
        )
    if done > limits.free_bytes and done > limits.ratio * packed:
        raise InvalidInput(
            f"{name}: {packed:,} bytes unpack to more than {limits.ratio:g} times as many, "
            "the ratio of a decompression bomb; send only what the program needs"
        )


def _too_many_members(name: str, limits: ArchiveLimits) -> InvalidInput:
    most = _MEMBERS_PER_FILE * limits.members
    return InvalidInput(
        f"{name}: expected at most {most:,} members, got more; send only what the program needs"
    )
