"""Picture of sizes: each level by sections, then the functions that changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search.domains.compile.answer import OURS
from search.drawing.svg import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, Drawing, TextStyle
from solvers.llvm.types import Sizes

_MOST_FUNCTIONS = 14
_LEFT, _WIDTH, _RIGHT, _ROW, _TOP = 190, 520, 170, 22, 78
_NAME_CHARS = 26
_CLASSES = (
    ("code", "code", (".text", ".init", ".fini")),
    ("constants", "constants", (".rodata", ".data.rel.ro")),
    ("unwind", "unwind tables", (".eh_frame", ".gcc_except", ".ARM.ex")),
    ("data", "data", (".data", ".tdata", ".init_array", ".fini_array")),
)
_LEGEND = (*((css, words) for css, words, _ in _CLASSES), ("other", "other"))
_COLOURS = {
    "code": BLUE,
    "constants": ORANGE,
    "unwind": PURPLE,
    "data": GREEN,
    "other": GREY,
    "oz": PALE,
    "ours": BLUE,
}


def kind_of(section: str) -> str:
    """Return the colour class of a section."""
    return next(
        (css for css, _, starts in _CLASSES if section.startswith(starts)), "other"
    )


def draw_sizes(levels: Mapping[str, Sizes], *, title: str, reference: str = "Oz") -> str:
    """Return an SVG. `levels` by name, in the order drawn; it has `reference` and, last, ours."""
    oz, ours = levels[reference], levels[OURS]
    # Builds of the user are measured without functions.
    functions = changed_most(oz.functions, ours.functions) if oz.functions else []
    end = _TOP + _ROW * len(levels)
    height = end + 30 + (50 + _ROW * len(functions) if functions else 0)
    drawing = Drawing(_LEFT + _WIDTH + _RIGHT, height, title=title, colours=_COLOURS)
    drawing.text(12, 22, title, style="title")
    _draw_legend(drawing, levels)
    longest = max((sizes.loadable_bytes for sizes in levels.values()), default=1) or 1
    for row, (name, sizes) in enumerate(levels.items()):
        y = _TOP + _ROW * row
        _draw_level(drawing, name, sizes, y, longest)
        _draw_total(drawing, name, sizes, oz, y, longest)
    x = _LEFT + _WIDTH * oz.loadable_bytes / longest
    drawing.line(x, _TOP - 4, x, end)
    if functions:
        _draw_functions(drawing, functions, end + 30)
    return drawing.document() + "\n"


def changed_most(
    oz: Mapping[str, int], ours: Mapping[str, int]
) -> list[tuple[str, int, int]]:
    """Return the functions whose size changed most, then the largest.

    Each row is (function, bytes by -Oz, bytes by us), 0 where the function is gone.
    """
    rows = [(name, oz.get(name, 0), ours.get(name, 0)) for name in {**oz, **ours}]
    rows.sort(key=lambda row: (-abs(row[2] - row[1]), -max(row[1], row[2]), row[0]))
    return rows[:_MOST_FUNCTIONS]


def _draw_legend(drawing: Drawing, levels: Mapping[str, Sizes]) -> None:
    used = {kind_of(section) for sizes in levels.values() for section in sizes.sections}
    x = _LEFT
    for css, words in _LEGEND:
        if css in used:
            drawing.key(css, x, _TOP - 21, words)
            x += 30 + 7 * len(words)


def _label(level: str) -> str:
    return level if level == OURS or " " in level else f"-{level}"


def _draw_level(drawing: Drawing, name: str, sizes: Sizes, y: int, longest: int) -> None:
    label = _label(name)
    style: TextStyle = "strong" if name == OURS else ""
    drawing.text(_LEFT - 8, y + 14, label, style=style, anchor="end")
    x = float(_LEFT)
    for css, _ in _LEGEND:
        amount = sum(
            size for section, size in sizes.sections.items() if kind_of(section) == css
        )
        if amount:
            width = _WIDTH * amount / longest
            tooltip = f"{label}: {amount:,} bytes of {css}"
            drawing.bar(css, x, y + 2, width, _ROW - 6, tooltip=tooltip)
            x += width


def _draw_total(
    drawing: Drawing, name: str, sizes: Sizes, oz: Sizes, y: int, longest: int
) -> None:
    base = oz.loadable_bytes
    words = f"{sizes.loadable_bytes:,} bytes"
    if name != "Oz" and base:
        words += f" ({100 * (sizes.loadable_bytes - base) / base:+.2f} %)"
    # Right of the bar and of the dashed line at -Oz, which would cross the words.
    end = max(sizes.loadable_bytes, base)
    drawing.text(_LEFT + _WIDTH * end / longest + 6, y + 14, words, style="dim")


def _draw_functions(
    drawing: Drawing, rows: Sequence[tuple[str, int, int]], top: int
) -> None:
    longest = max(max(oz, ours) for _, oz, ours in rows) or 1
    heading = f"Functions that changed most: bytes by -Oz and by {OURS}"
    drawing.text(12, top + 14, heading, style="title")
    for row, (name, oz, ours) in enumerate(rows):
        y = top + 28 + _ROW * row
        short = name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"
        drawing.text(_LEFT - 8, y + 14, short, anchor="end", tooltip=name)
        drawing.bar("oz", _LEFT, y + 2, _WIDTH * oz / longest, 7)
        drawing.bar("ours", _LEFT, y + 10, _WIDTH * ours / longest, 7)
        x = _LEFT + _WIDTH * max(oz, ours) / longest + 6
        size = "gone" if ours == 0 else f"{ours:,}"
        drawing.text(x, y + 14, f"{oz:,} → {size}", style="dim")
