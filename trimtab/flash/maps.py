"""Linker maps: which object's section lies where. The maps of lld and of GNU ld are read."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LLD = re.compile(
    r"^\s*(?P<address>[0-9a-f]+)\s+[0-9a-f]+\s+(?P<size>[0-9a-f]+)\s+\d+ {9}"
    r"(?P<file>\S.*):\((?P<section>[^)]*)\)\s*$"
)
_LLD_HEAD = re.compile(r"^\s*VMA\s+LMA\s+Size\s+Align\s+Out\s+In\s+Symbol")
_GNU = re.compile(
    r"^ (?P<section>[.\w$*][^\s]*)\s+0x(?P<address>[0-9a-f]+)\s+0x(?P<size>[0-9a-f]+)"
    r"\s+(?P<file>\S.*)$"
)
_GNU_NAME = re.compile(r"^ (?P<section>[.\w$][^\s]*)$")
_GNU_HEAD = "Linker script and memory map"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """An input section of the linked program."""

    object: str  # file, and the member of an archive
    section: str  # its name in the object
    address: int
    size: int


def read_map(text: str) -> list[Piece]:
    """Return the input sections of a map by address. Raises ValueError for other texts."""
    lines = text.splitlines()
    if any(_LLD_HEAD.match(line) for line in lines[:5]):
        return _sorted(lines, _LLD)
    start = next((i for i, line in enumerate(lines) if line.startswith(_GNU_HEAD)), None)
    if start is None:
        raise ValueError(
            "expected a map of lld or GNU ld (-Wl,-Map=FILE), got another text"
        )
    joined: list[str] = []
    for line in lines[start:]:
        # GNU ld breaks the line after a long name.
        if joined and _GNU_NAME.match(joined[-1]) and line.startswith("    "):
            joined[-1] += line
        else:
            joined.append(line)
    return _sorted(joined, _GNU)


def _sorted(lines: list[str], pattern: re.Pattern[str]) -> list[Piece]:
    pieces = [
        Piece(
            object=match["file"],
            section=match["section"],
            address=int(match["address"], 16),
            size=int(match["size"], 16),
        )
        for line in lines
        if (match := pattern.match(line))
    ]
    return sorted((p for p in pieces if p.size), key=lambda piece: piece.address)
