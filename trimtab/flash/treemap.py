"""Tree map of a program: areas in proportion to bytes, sections and objects and symbols nested.

Squarified layout: Bruls, Huizing and van Wijk, "Squarified Treemaps", VisSym 2000.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from trimtab.flash.usage import Usage

_WIDTH, _HEIGHT, _HEAD, _TITLE = 960.0, 600.0, 15.0, 34.0
_COLOURS = ("#4f79a6", "#b3702f", "#4d8a57", "#8a5fa0", "#6f7a86", "#a3555f", "#3f8f91")
_LEAST = 0.0004  # share of all bytes below which symbols are drawn together
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
    """Return an SVG of what takes the flash: section, object, symbol."""
    tree = _tree(usage)
    totals = {
        section: sum(sum(symbols.values()) for symbols in objects.values())
        for section, objects in tree.items()
    }
    whole = Box(x=0, y=_TITLE, width=_WIDTH, height=_HEIGHT)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT + _TITLE:g}" '
        f'role="img" aria-label="{escape(title, quote=True)}" font-family="sans-serif">',
        "<style>.title{fill:#1c2733}@media(prefers-color-scheme:dark){.title{fill:#e8edf2}}</style>",
        f'<text class="title" x="8" y="22" font-size="15">{escape(title)}</text>',
    ]
    for index, (section, box) in enumerate(_placed(totals, whole)):
        colour = _COLOURS[index % len(_COLOURS)]
        tip = f"{section}: {totals[section]:,} bytes"
        lines += _rectangle(box, colour, tip, section, bold=True)
        of_objects = {name: sum(rows.values()) for name, rows in tree[section].items()}
        for name, area in _placed(of_objects, _inside(box)):
            short = name.rpartition("/")[2]
            tip = f"{section} / {name}: {of_objects[name]:,} bytes"
            lines += _rectangle(area, colour, tip, short)
            symbols = tree[section][name]
            for symbol, place in _placed(symbols, _inside(area)):
                tip = f"{section} / {short} / {symbol}: {symbols[symbol]:,} bytes"
                lines += _rectangle(place, colour, tip, symbol)
    return "\n".join([*lines, "</svg>", ""])


def _tree(usage: Usage) -> dict[str, dict[str, dict[str, int]]]:
    """Return section → object → symbol → bytes of flash; small symbols together."""
    tree: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for part in usage.parts:
        if part.section in usage.flash_sections and part.size:
            symbols = tree[part.section][part.object or "(linker)"]
            small = part.size < _LEAST * max(1, usage.flash)
            name = "(small)" if small else part.symbol
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
