"""Static archives (`ar`): members of GNU, BSD and thin archives, and archives with an index."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from trimtab.wrapper.sections import Elf

_MAGIC, _THIN = b"!<arch>\n", b"!<thin>\n"
_HEADER = struct.Struct("16s12s6s6s8s10s2s")
_END = b"`\n"
_INDEXES = (b"/", b"/SYM64/", b"__.SYMDEF", b"__.SYMDEF SORTED", b"__.SYMDEF_64")


class BadArchive(ValueError):
    """The bytes are not an archive that can be read."""


def is_archive(head: bytes) -> bool:
    """Tell an archive by its first bytes."""
    return head[:8] in (_MAGIC, _THIN)


def is_thin(head: bytes) -> bool:
    """Tell an archive whose members are files of their own."""
    return head[:8] == _THIN


def members(path: Path) -> list[tuple[str, bytes]]:
    """Return the members of an archive in order; names may repeat. Raises BadArchive, OSError."""
    data = path.read_bytes()
    if not is_archive(data):
        raise BadArchive(f"{path}: expected an archive, got {data[:8]!r}")
    thin = data[:8] == _THIN
    found: list[tuple[str, bytes]] = []
    names, at = b"", 8
    while at + _HEADER.size <= len(data):
        raw, _, _, _, _, length, end = _HEADER.unpack_from(data, at)
        if end != _END:
            raise BadArchive(f"{path}: damaged at byte {at:,}")
        size, at = int(length), at + _HEADER.size
        title = raw.rstrip()
        stored = not thin or title in (*_INDEXES, b"//")
        content = data[at : at + size] if stored else b""
        if stored and len(content) < size:
            raise BadArchive(
                f"{path}: expected {size:,} bytes at {at:,}, got {len(content):,}"
            )
        at += size + (size & 1) if stored else 0
        if title == b"//":
            names = content
            continue
        if title in _INDEXES:
            continue
        if title.startswith(b"#1/"):  # BSD: the name comes before the contents
            cut = int(title[3:])
            title, content = content[:cut].rstrip(b"\0"), content[cut:]
            if title in _INDEXES:
                continue
        elif title[:1] == b"/" and title[1:].isdigit():
            start = int(title[1:])
            title = names[start : names.index(b"\n", start)].rstrip(b"/")
        name = title.rstrip(b"/").decode("utf-8", "surrogateescape")
        found.append((name, content if stored else (path.parent / name).read_bytes()))
    return found


def archive_of_members(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a GNU archive with an index of symbols; `ar` is not needed."""
    long_names, titles = b"", []
    for name, _ in files:
        plain = name.encode("utf-8", "surrogateescape").replace(b"\n", b"_") + b"/"
        if len(plain) <= 16 and not plain.startswith(b"/") and b" " not in plain:
            titles.append(plain)
        else:
            titles.append(b"/%d" % len(long_names))
            long_names += plain + b"\n"
    symbols = [
        (i, name) for i, (_, content) in enumerate(files) for name in _defined(content)
    ]
    index = 4 + 4 * len(symbols) + sum(len(name) + 1 for _, name in symbols)
    at = 8 + _HEADER.size + index + (index & 1)
    if long_names:
        at += _HEADER.size + len(long_names) + (len(long_names) & 1)
    places = []
    for _, content in files:
        places.append(at)
        at += _HEADER.size + len(content) + (len(content) & 1)
    body = struct.pack(">I", len(symbols))
    body += b"".join(struct.pack(">I", places[i]) for i, _ in symbols)
    body += b"".join(name + b"\0" for _, name in symbols)
    parts = [_MAGIC, _member(b"/", body)]
    parts += [_member(b"//", long_names)] if long_names else []
    parts += [
        _member(title, content) for title, (_, content) in zip(titles, files, strict=True)
    ]
    return b"".join(parts)


def _member(title: bytes, content: bytes) -> bytes:
    header = b"%-16s%-12s%-6s%-6s%-8s%-10d%s" % (
        title, b"0", b"0", b"0", b"644", len(content), _END,
    )  # fmt: skip
    return header + content + (b"\n" if len(content) & 1 else b"")


def _defined(content: bytes) -> list[bytes]:
    try:
        return sorted(Elf(content).defined())
    except (ValueError, IndexError, struct.error):
        return []
