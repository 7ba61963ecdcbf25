"""Tree map of a program: areas in proportion to bytes, sections and objects and symbols nested.

Squarified layout: Bruls, Huizing and van Wijk, "Squarified Treemaps", VisSym 2000.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from trimtab.flash.usage import OTHER, Usage

_WIDTH, _HEIGHT, _HEAD, _TITLE = 960.0, 600.0, 15.0, 34.0
_GAP, _WORDS = 16.0, 24.0  # between two panels, and above each
_COLOURS = ("#4f79a6", "#b3702f", "#4d8a57", "#8a5fa0", "#6f7a86", "#a3555f", "#3f8f91")
_LEAST = 0.0004  # share of all bytes below which symbols are drawn together
_SMALL = "(small)"
_CHAR = 6.2  # width of a character, pixels


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """Return a rectangle for each size, which must fall; areas are in proportion to sizes."""
    total = sum(sizes)
    if not sizes or total <= 0 or box.width <= 0 or box.height <= 0:
        return [Box(x=box.x, y=box.y, width=0, height=0) for _ in sizes]
    scale = box.width * box.height / total
    areas, boxes = [size * scale for size in sizes], list[Box]()
    start = 0
    while start < len(areas):
        side = min(box.width, box.height)
        stop = start + 1
        while stop < len(areas) and _worst(areas[start : stop + 1], side) <= _worst(
            areas[start:stop], side
        ):
            stop += 1
        row = areas[start:stop]
        thickness = sum(row) / side if side else 0.0
        at = box.y if box.width >= box.height else box.x
        for area in row:
            length = area / thickness if thickness else 0.0
            boxes.append(
                Box(x=box.x, y=at, width=thickness, height=length)
                if box.width >= box.height
                else Box(x=at, y=box.y, width=length, height=thickness)
            )
            at += length
        box = _rest(box, thickness)
        start = stop
    return boxes


def draw_treemap(usage: Usage, *, title: str) -> str:
    """Return an SVG of a program's flash; hovering shows names and bytes."""
    box = Box(x=0, y=_TITLE, width=_WIDTH, height=_HEIGHT)
    lines = _panel(usage, box, _colours(usage), {})
    return _document(title, _HEIGHT + _TITLE, lines)


def draw_comparison(before: Usage, after: Usage, *, title: str) -> str:
    """Return an SVG of two builds side by side; equal areas are equal numbers of bytes.

    A symbol that grew or shrank says so when it is hovered over.
    """
    width = (_WIDTH - _GAP) / 2
    most = max(before.flash, after.flash, 1)
    colours = _colours(before, after)
    sizes = [_sizes_by_name(usage) for usage in (before, after)]
    lines: list[str] = []
    for i, usage in enumerate((before, after)):
        change = after.flash - before.flash
        words = f"{('before', 'after')[i]}: {usage.flash:,} bytes of flash"
        if i and before.flash:
            words += f" ({change:+,}, {100 * change / before.flash:+.1f} %)"
        x = i * (width + _GAP)
        lines.append(
            f'<text class="title" x="{x + 8:g}" y="{_TITLE + 14:g}" font-size="13" '
            f'font-weight="bold">{escape(words)}</text>'
        )
        height = _HEIGHT * usage.flash / most
        box = Box(x=x, y=_TITLE + _WORDS, width=width, height=height)
        lines += _panel(usage, box, colours, sizes[1 - i], backward=not i)
    return _document(title, _TITLE + _WORDS + _HEIGHT, lines)


def _document(title: str, height: float, lines: Sequence[str]) -> str:
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}" '
        f'role="img" aria-label="{escape(title, quote=True)}" font-family="sans-serif">',
        "<style>.title{fill:#1c2733}@media(prefers-color-scheme:dark){.title{fill:#e8edf2}}</style>",
        f'<text class="title" x="8" y="22" font-size="15">{escape(title)}</text>',
    ]
    return "\n".join([*head, *lines, "</svg>", ""])


def _colours(*usages: Usage) -> dict[str, str]:
    """Return a colour for each section, largest first, the same in all panels."""
    totals: Counter[str] = Counter()
    for usage in usages:
        for section in usage.flash_sections:
            totals[section] += usage.sections.get(section, 0)
    ordered = sorted(totals, key=lambda name: (-totals[name], name))
    return {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(ordered)}


def _sizes_by_name(usage: Usage) -> dict[tuple[str, str], int]:
    sums: Counter[tuple[str, str]] = Counter()
    for part in usage.parts:
        sums[part.section, part.symbol] += part.size
    return dict(sums)


def _panel(
    usage: Usage,
    whole: Box,
    colours: Mapping[str, str],
    others: Mapping[tuple[str, str], int],
    *,
    backward: bool = False,
) -> list[str]:
    """Return the rectangles of a program. others: sizes in the other build, if there is one."""
    tree = _tree(usage)
    totals = {
        section: sum(sum(rows.values()) for rows in objects.values())
        for section, objects in tree.items()
    }
    lines: list[str] = []
    for section, box in _placed(totals, whole):
        colour = colours[section]
        tip = f"{section}: {totals[section]:,} bytes"
        lines += _rectangle(box, colour, tip, section, bold=True)
        of_objects = {name: sum(rows.values()) for name, rows in tree[section].items()}
        for name, area in _placed(of_objects, _inside(box)):
            short = name.rpartition("/")[2]
            tip = f"{section} / {name}: {of_objects[name]:,} bytes"
            lines += _rectangle(area, colour, tip, short)
            symbols = tree[section][name]
            for symbol, place in _placed(symbols, _inside(area)):
                size = symbols[symbol]
                tip = f"{section} / {short} / {symbol}: {size:,} bytes"
                if others and symbol not in (_SMALL, OTHER):
                    other = others.get((section, symbol), 0)
                    tip += _difference(size, other, backward=backward)
                lines += _rectangle(place, colour, tip, symbol)
    return lines


def _difference(size: int, other: int, *, backward: bool) -> str:
    if size == other:
        return ", unchanged"
    if backward:
        return f", then {other:,}" if other else ", then gone or inlined"
    return f", before {other:,}" if other else ", new"


def _tree(usage: Usage) -> dict[str, dict[str, dict[str, int]]]:
    """Return section → object → symbol → bytes of flash; small symbols together."""
    tree: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for part in usage.parts:
        if part.section in usage.flash_sections and part.size:
            symbols = tree[part.section][part.object or "(linker)"]
            small = part.size < _LEAST * max(1, usage.flash)
            name = _SMALL if small else part.symbol
            symbols[name] = symbols.get(name, 0) + part.size
    return tree


def _placed(sizes: Mapping[str, int], box: Box) -> list[tuple[str, Box]]:
    """Return the rectangle of each name, largest first."""
    rows = sorted(sizes.items(), key=lambda row: (-row[1], row[0]))
    boxes = squarified([float(size) for _, size in rows], box)
    return [(name, place) for (name, _), place in zip(rows, boxes, strict=True)]


def _rest(box: Box, thickness: float) -> Box:
    """Return what is left of a box beside its first row."""
    if box.width >= box.height:
        width = max(0.0, box.width - thickness)
        return Box(x=box.x + thickness, y=box.y, width=width, height=box.height)
    height = max(0.0, box.height - thickness)
    return Box(x=box.x, y=box.y + thickness, width=box.width, height=height)


def _worst(areas: Sequence[float], side: float) -> float:
    """Return the largest ratio of sides in a row of rectangles."""
    total = sum(areas)
    if total <= 0 or side <= 0:
        return float("inf")
    return max(
        side * side * max(areas) / (total * total),
        total * total / (side * side * max(min(areas), 1e-9)),
    )


def _inside(box: Box) -> Box:
    """Return the room below a box's label."""
    head = _HEAD if box.height > 2 * _HEAD and box.width > 30 else 0.0
    return Box(
        x=box.x + 1,
        y=box.y + head + 1,
        width=max(0.0, box.width - 2),
        height=max(0.0, box.height - head - 2),
    )


def _rectangle(
    box: Box, colour: str, tip: str, label: str, *, bold: bool = False
) -> list[str]:
    if box.width < 0.5 or box.height < 0.5:
        return []
    shown = label[: int((box.width - 4) / _CHAR)] if box.height > 12 else ""
    text = ""
    if len(shown) >= min(3, len(label)):
        weight = ' font-weight="bold"' if bold else ""
        text = (
            f'<text x="{box.x + 3:.1f}" y="{box.y + 11:.1f}" font-size="10" fill="#ffffff"'
            f"{weight}>{escape(shown)}</text>"
        )
    return [
        f'<g><title>{escape(tip)}</title><rect x="{box.x:.1f}" y="{box.y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" fill="{colour}" stroke="#ffffff" '
        f'stroke-width="0.7"/>{text}</g>'
    ]
