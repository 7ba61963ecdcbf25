"""Bytes of a linked program by section, object and symbol, and their changes between builds."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.flash.elf import Section, Symbol, read_elf
from trimtab.flash.maps import Piece, read_map

FORMAT = "trimtab-size/1"
OTHER = "(other)"  # bytes that no symbol names


@dataclass(frozen=True, kw_only=True)
class Part:
    """A symbol, or what no symbol names, of one section and object."""

    section: str
    object: str  # "" without a map
    symbol: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Use of flash and RAM by a program."""

    flash: int  # bytes that are loaded
    ram: int  # bytes that may be written
    sections: Mapping[str, int]
    flash_sections: frozenset[str]
    ram_sections: frozenset[str]
    parts: tuple[Part, ...]  # of all sections; their sum is that of the sections

    def by_object(self) -> dict[str, int]:
        """Return flash bytes by object, largest first."""
        sums: Counter[str] = Counter()
        for part in self.parts:
            if part.section in self.flash_sections:
                sums[part.object or OTHER] += part.size
        return dict(sums.most_common())

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, which `usage_from_json` reads."""
        return {
            "format": FORMAT,
            "flash_bytes": self.flash,
            "ram_bytes": self.ram,
            "sections": dict(self.sections),
            "flash_sections": sorted(self.flash_sections),
            "ram_sections": sorted(self.ram_sections),
            "parts": [asdict(part) for part in self.parts],
        }


@dataclass(frozen=True, kw_only=True)
class Change:
    """A symbol whose size differs between two builds; 0 where it does not exist."""

    symbol: str
    section: str
    before: int
    after: int


def read_usage(program: bytes, map_text: str | None = None) -> Usage:
    """Read a linked program, with the linker's map for its objects. Raises ValueError."""
    sections, symbols = read_elf(program)
    pieces = read_map(map_text) if map_text is not None else []
    sizes: Counter[str] = Counter()
    for section in sections:
        sizes[section.name] += section.size
    return Usage(
        flash=sum(section.size for section in sections if section.in_flash),
        ram=sum(section.size for section in sections if section.in_ram),
        sections=dict(sizes),
        flash_sections=frozenset(s.name for s in sections if s.in_flash),
        ram_sections=frozenset(s.name for s in sections if s.in_ram),
        parts=tuple(_parts(sections, symbols, pieces)),
    )


def read_file(path: Path, map_path: Path | None = None) -> Usage:
    """Read a program, or the JSON of an earlier `trimtab size --json`. Raises ValueError."""
    if path.suffix == ".json":
        import json

        return usage_from_json(json.loads(path.read_text(encoding="utf-8")))
    text = map_path.read_text(encoding="utf-8", errors="replace") if map_path else None
    return read_usage(path.read_bytes(), text)


def usage_from_json(data: Mapping[str, Any]) -> Usage:
    """Read the JSON form. Raises ValueError."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise ValueError(
            f"expected a file of `trimtab size --json` (format {FORMAT}), got another document"
        )
    return Usage(
        flash=int(data["flash_bytes"]),
        ram=int(data["ram_bytes"]),
        sections={str(name): int(size) for name, size in data["sections"].items()},
        flash_sections=frozenset(map(str, data["flash_sections"])),
        ram_sections=frozenset(map(str, data["ram_sections"])),
        parts=tuple(
            Part(
                section=str(row["section"]),
                object=str(row["object"]),
                symbol=str(row["symbol"]),
                size=int(row["size"]),
            )
            for row in data["parts"]
        ),
    )


def changes(before: Usage, after: Usage) -> list[Change]:
    """Return the symbols whose size differs, largest difference first."""
    old, new = (_by_symbol(usage) for usage in (before, after))
    rows = [
        Change(
            symbol=symbol,
            section=section,
            before=old.get((section, symbol), 0),
            after=new.get((section, symbol), 0),
        )
        for section, symbol in {**old, **new}
    ]
    differing = [row for row in rows if row.before != row.after]
    return sorted(
        differing, key=lambda row: (-abs(row.after - row.before), row.section, row.symbol)
    )


def attributed(usage: Usage, source: Usage, names: Mapping[str, str]) -> Usage:
    """Return `usage` with the object of each symbol taken from another build of the program.

    A program that was optimised as a whole has one object; `source` was linked object by object.
    `names` are the objects' names for people. A symbol that `source` lacks keeps its object.
    """
    objects: dict[str, str] = {}
    for part in source.parts:
        if part.object and part.symbol != OTHER:
            objects.setdefault(part.symbol, part.object)

    def of(part: Part) -> str:
        # A function that LLVM split or copied has a suffix.
        plain = re.split(
            r"\.(?:llvm|cold|part|specialized|constprop|isra|\d)", part.symbol
        )[0]
        name = objects.get(part.symbol) or objects.get(plain) or part.object
        return names.get(name, name)

    return replace(
        usage, parts=tuple(replace(part, object=of(part)) for part in usage.parts)
    )


def section_changes(before: Usage, after: Usage) -> list[dict[str, Any]]:
    """Return each section's bytes in both builds, largest change first."""
    names = {**before.sections, **after.sections}
    rows = [
        {
            "section": name,
            "before_bytes": before.sections.get(name, 0),
            "after_bytes": after.sections.get(name, 0),
            "change": after.sections.get(name, 0) - before.sections.get(name, 0),
        }
        for name in names
    ]
    rows = [row for row in rows if row["before_bytes"] or row["after_bytes"]]
    return sorted(
        rows, key=lambda row: (-abs(int(str(row["change"]))), str(row["section"]))
    )


def _by_symbol(usage: Usage) -> dict[tuple[str, str], int]:
    sums: Counter[tuple[str, str]] = Counter()
    for part in usage.parts:
        sums[part.section, part.symbol] += part.size
    return dict(sums)


def _parts(
    sections: Sequence[Section], symbols: Sequence[Symbol], pieces: Sequence[Piece]
) -> list[Part]:
    """Return every byte of the sections once: by symbol, or by what the map says of it."""
    starts = [piece.address for piece in pieces]
    parts: list[Part] = []
    for section in sections:
        end = section.address + section.size
        named: Counter[str] = Counter()
        reached = section.address
        own = [symbol for symbol in symbols if symbol.section == section.name]
        for symbol in sorted(own, key=lambda s: (s.address, -s.size)):
            # Thumb functions have the lowest bit of their address set.
            start = max(
                symbol.address & ~1 if symbol.address & 1 else symbol.address, reached
            )
            stop = min(symbol.address + symbol.size, end)
            if stop <= start:
                continue
            owner = _owner(pieces, starts, start)
            name = owner.object if owner else ""
            parts.append(
                Part(
                    section=section.name,
                    object=name,
                    symbol=symbol.name,
                    size=stop - start,
                )
            )
            named[name] += stop - start
            reached = stop
        parts += _unnamed(section, pieces, named)
    return parts


def _unnamed(
    section: Section, pieces: Sequence[Piece], named: Counter[str]
) -> list[Part]:
    """Return the bytes of a section that no symbol names, by object."""
    end = section.address + section.size
    mapped: Counter[str] = Counter()
    if section.address:
        for piece in pieces:
            if section.address <= piece.address and piece.address + piece.size <= end:
                mapped[piece.object] += piece.size
    left = section.size - sum(named.values())
    parts = []
    for name, size in mapped.most_common():
        rest = min(size - named[name], left)
        if rest > 0:
            parts.append(Part(section=section.name, object=name, symbol=OTHER, size=rest))
            left -= rest
    if left > 0:
        parts.append(Part(section=section.name, object="", symbol=OTHER, size=left))
    return parts


def _owner(pieces: Sequence[Piece], starts: Sequence[int], address: int) -> Piece | None:
    place = bisect.bisect_right(starts, address) - 1
    if place < 0:
        return None
    piece = pieces[place]
    return piece if address < piece.address + piece.size else None
