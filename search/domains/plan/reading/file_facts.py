"""Roles of a file, by its first bytes, column names and member names.

Never by its suffix alone, and never by prose in it: instructions inside a file have no way out.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from search.domains.plan.types import FileFacts, FileRole
from trimtab.tables import REQUIRED_COLUMNS

HEAD_BYTES = 65_536
_MEMBERS = 2_000
_MOST_NAMES = 5_000
_NAME = re.compile(r"[A-Za-z][\w.-]{0,63}")
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".ll", ".bc")
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_SOURCE_LINE = re.compile(
    r"^\s*(#\s*(include|define|if|ifdef|ifndef|pragma)\b"
    r"|(static|extern|typedef|struct|class|template|namespace|using|int|void|char|unsigned"
    r"|long|double|float|bool|const|inline|enum|union)\b[^.?!]*[;{(])",
    re.M,
)
_IR_LINE = re.compile(
    r"^(target (datalayout|triple) = |define .*@|declare .*@|source_filename = |; ModuleID)",
    re.M,
)
_LP_LINE = re.compile(
    r"^\s*(minimi[sz]e|maximi[sz]e|min|max|minimum|maximum|subject to|such that|s\.t\.|st)\s*:?\s*$"
    r"|^\s*(minimi[sz]e|maximi[sz]e|min|max)\b.*:",
    re.I | re.M,
)
_SOL_LINE = re.compile(
    r"^\s*(\S+)[ \t]+[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\b[^\n]*$", re.M
)
_MPS_SECTIONS = ("ROWS", "COLUMNS")


@dataclass(frozen=True, kw_only=True)
class _Seen:
    roles: tuple[FileRole, ...]
    facts: Mapping[str, int]
    names: tuple[str, ...] = ()


def facts_of(name: str, digest: str, path: Path) -> FileFacts:
    """Return the roles of a file, likeliest first, from at most its first 64 KiB.

    Archives are judged by the names of at most 2,000 members. A file that cannot be read as
    anything has the role `unknown`; nothing is raised for its content.
    """
    try:
        seen = _look(path)
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        zlib.error,
        tarfile.TarError,
        zipfile.BadZipFile,
        NotImplementedError,
        RecursionError,
    ):
        seen = None
    seen = seen or _Seen(roles=(FileRole.UNKNOWN,), facts={})
    return FileFacts(
        name=name, digest=digest, roles=seen.roles, facts=seen.facts, names=seen.names
    )


def _look(path: Path) -> _Seen | None:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            return _archive([info.filename for info in archive.infolist()[:_MEMBERS]])
    if head.startswith(_BITCODE):
        return _Seen(roles=(FileRole.SOURCE,), facts={})
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(path) as packed:
            head = packed.read(HEAD_BYTES)
        return _tar(head) or _text(head, whole=False)
    return _tar(head) or _text(head, whole=path.stat().st_size <= HEAD_BYTES)


def _tar(head: bytes) -> _Seen | None:
    if head[257:262] != b"ustar":
        return None
    names: list[str] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as archive:
            for member in archive:
                names.append(member.name)
                if len(names) == _MEMBERS:
                    break
    except (tarfile.TarError, EOFError):
        pass  # the head ends inside a member; the names so far are known
    return _archive(names)


def _archive(names: list[str]) -> _Seen:
    sources = sum(name.lower().endswith(_SOURCES) for name in names)
    roles = (FileRole.SOURCE,) if sources else (FileRole.UNKNOWN,)
    return _Seen(roles=roles, facts={"members": len(names), "sources": sources})


def _text(head: bytes, *, whole: bool) -> _Seen | None:
    if b"\x00" in head:
        return None
    text = head.decode("utf-8-sig", errors="replace")
    if text.count("\ufffd") > len(text) // 50 + 1:
        return None
    looks: tuple[Callable[[str, bool], _Seen | None], ...] = (
        _json,
        _csv,
        _mps,
        _ir,
        _lp,
        _source,
        _solution,
    )
    for look in looks:
        if (seen := look(text, whole)) is not None:
            return seen
    return None


def _json(text: str, whole: bool) -> _Seen | None:
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    keys = set(re.findall(r'"([A-Za-z_]\w{0,40})"\s*:', text))
    if '"trimtab-sharding-plan/1"' in text or {"table", "device", "offset"} <= keys:
        return _Seen(roles=(FileRole.PLAN,), facts={})
    if set(REQUIRED_COLUMNS) <= keys:
        rows = {}
        if whole:
            data = json.loads(text)
            data = data.get("tables", data) if isinstance(data, dict) else data
            rows = {"tables": len(data)} if isinstance(data, list) else {}
        names = re.findall(r'"name"\s*:\s*"([^"]*)"', text)
        return _Seen(roles=(FileRole.TABLES,), facts=rows, names=_identifiers(names))
    return None


def _identifiers(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that look like one; others are text of the file and stay in it."""
    return tuple(name for name in names if _NAME.fullmatch(name))[:_MOST_NAMES]


def _csv(text: str, whole: bool) -> _Seen | None:
    lines = text.splitlines()
    columns = (
        [cell.strip().strip('"').lower() for cell in lines[0].split(",")] if lines else []
    )
    if not set(REQUIRED_COLUMNS) <= set(columns):
        return None
    facts = {"columns": len(columns)}
    if whole:
        facts["tables"] = sum(bool(line.strip()) for line in lines[1:])
    names: tuple[str, ...] = ()
    if "name" in columns:
        at = columns.index("name")
        rows = (line.split(",") for line in lines[1:])
        names = _identifiers(row[at].strip().strip('"') for row in rows if len(row) > at)
    return _Seen(roles=(FileRole.TABLES,), facts=facts, names=names)


def _mps(text: str, whole: bool) -> _Seen | None:
    starts = {line.split()[0] for line in text.splitlines() if line[:1].isalpha()}
    if "ROWS" not in starts or not ({"NAME", *_MPS_SECTIONS} & (starts - {"ROWS"})):
        return None
    return _Seen(roles=(FileRole.MODEL,), facts=_lines(text, whole))


def _ir(text: str, whole: bool) -> _Seen | None:
    if _IR_LINE.search(text) is None:
        return None
    return _Seen(roles=(FileRole.SOURCE,), facts=_lines(text, whole))


def _lp(text: str, whole: bool) -> _Seen | None:
    first = next(
        (
            line
            for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith("\\")
        ),
        "",
    )
    if _LP_LINE.match(first) is None and len(_LP_LINE.findall(text)) < 2:
        return None
    return _Seen(roles=(FileRole.MODEL,), facts=_lines(text, whole))


def _source(text: str, whole: bool) -> _Seen | None:
    if _SOURCE_LINE.search(text) is None:
        return None
    return _Seen(roles=(FileRole.SOURCE,), facts=_lines(text, whole))


def _solution(text: str, whole: bool) -> _Seen | None:
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not whole:
        lines = lines[:-1]
    if not lines:
        return None
    fitting = sum(_SOL_LINE.match(line) is not None for line in lines)
    stated = re.search(r"^\s*#?\s*(objective value|solution status)\b", text, re.I | re.M)
    if fitting >= 0.8 * len(lines) or (stated and fitting * 2 >= len(lines)):
        return _Seen(roles=(FileRole.START,), facts={"variables": fitting})
    return None


def _lines(text: str, whole: bool) -> dict[str, int]:
    return {"lines": text.count("\n") + 1} if whole else {}
