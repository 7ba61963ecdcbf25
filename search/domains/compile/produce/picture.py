"""Sizes as a picture: each level by sections, then the functions that changed most. SVG without scripts; light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from search.domains.compile.answer import OURS
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
_STYLE = """
svg{font:12px system-ui,sans-serif;background:#fff;color:#1b1f24}
text{fill:currentColor}.dim{opacity:.65}.title{font-size:15px;font-weight:600}.strong{font-weight:600}
.code{fill:#2f6fde}.constants{fill:#e08a1e}.unwind{fill:#8a63d2}.data{fill:#3a9d6e}.other{fill:#8c959f}
.oz{fill:#b6bec8}.ours{fill:#2f6fde}
.base{stroke:currentColor;stroke-dasharray:4 3;opacity:.7}
@media (prefers-color-scheme:dark){svg{background:#14181d;color:#e6e9ec}
.code,.ours{fill:#6ea0ff}.constants{fill:#f0aa50}.unwind{fill:#b195f0}.data{fill:#62c497}.other{fill:#77808a}.oz{fill:#4a535d}}
"""


def kind_of(section: str) -> str:
    """Which of the picture's colours a section has."""
    return next((css for css, _, starts in _CLASSES if section.startswith(starts)), "other")


def draw_sizes(levels: Mapping[str, Sizes], *, title: str) -> str:
    """An SVG document. `levels` by name, in the order drawn; it has `Oz` and, last, ours."""
    oz, ours = levels["Oz"], levels[OURS]
    functions = changed_most(oz.functions, ours.functions)
    height = (
        _TOP + _ROW * len(levels) + 30 + (50 + _ROW * len(functions) if functions else 0)
    )
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title, quote=True)}">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
        *_legend(levels),
        *_levels(levels),
    ]
    if functions:
        parts += _functions(functions, _TOP + _ROW * len(levels) + 30)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def changed_most(
    oz: Mapping[str, int], ours: Mapping[str, int]
) -> list[tuple[str, int, int]]:
    """(function, bytes by -Oz, bytes by us; 0 where it is gone), most changed first, then the largest."""
    rows = [(name, oz.get(name, 0), ours.get(name, 0)) for name in {**oz, **ours}]
    rows.sort(key=lambda row: (-abs(row[2] - row[1]), -max(row[1], row[2]), row[0]))
    return rows[:_MOST_FUNCTIONS]


def _legend(levels: Mapping[str, Sizes]) -> list[str]:
    used = {kind_of(section) for sizes in levels.values() for section in sizes.sections}
    parts, x = [], _LEFT
    for css, words in (*((css, words) for css, words, _ in _CLASSES), ("other", "other")):
        if css in used:
            parts.append(
                f'<rect class="{css}" x="{x}" y="{_TOP - 30}" width="10" height="10"/>'
            )
            parts.append(f'<text x="{x + 15}" y="{_TOP - 21}">{words}</text>')
            x += 30 + 7 * len(words)
    return parts


def _levels(levels: Mapping[str, Sizes]) -> list[str]:
    longest = max((sizes.loadable_bytes for sizes in levels.values()), default=1) or 1
    oz = levels["Oz"].loadable_bytes
    parts: list[str] = []
    for row, (name, sizes) in enumerate(levels.items()):
        y = _TOP + _ROW * row
        label = name if name == OURS else f"-{name}"
        strong = ' class="strong"' if name == OURS else ""
        parts.append(
            f'<text{strong} x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>'
        )
        at = float(_LEFT)
        for css in (*(css for css, _, _ in _CLASSES), "other"):
            amount = sum(
                size for section, size in sizes.sections.items() if kind_of(section) == css
            )
            if amount:
                wide = _WIDTH * amount / longest
                told = f"{label}: {amount:,} bytes of {css}"
                parts.append(
                    f'<rect class="{css}" x="{at:.1f}" y="{y + 2}" width="{wide:.1f}" height="{_ROW - 6}">'
                    f"<title>{escape(told)}</title></rect>"
                )
                at += wide
        share = (
            ""
            if name == "Oz" or not oz
            else f" ({100 * (sizes.loadable_bytes - oz) / oz:+.2f} %)"
        )
        parts.append(
            f'<text class="dim" x="{at + 6:.1f}" y="{y + 14}">{sizes.loadable_bytes:,} bytes{share}</text>'
        )
    x = _LEFT + _WIDTH * oz / longest
    parts.append(
        f'<line class="base" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{_TOP + _ROW * len(levels)}"/>'
    )
    return parts


def _functions(rows: Sequence[tuple[str, int, int]], top: int) -> list[str]:
    longest = max(max(oz, ours) for _, oz, ours in rows) or 1
    parts = [
        f'<text class="title" x="12" y="{top + 14}">Functions that changed most: bytes by -Oz and by {OURS}</text>',
    ]
    for row, (name, oz, ours) in enumerate(rows):
        y = top + 28 + _ROW * row
        short = name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(short)}<title>{escape(name)}</title></text>'
        )
        for css, amount, down in (("oz", oz, 2), ("ours", ours, 10)):
            parts.append(
                f'<rect class="{css}" x="{_LEFT}" y="{y + down}" width="{_WIDTH * amount / longest:.1f}" height="7"/>'
            )
        at = _LEFT + _WIDTH * max(oz, ours) / longest + 6
        told = "gone" if ours == 0 else f"{ours:,}"
        parts.append(f'<text class="dim" x="{at:.1f}" y="{y + 14}">{oz:,} → {told}</text>')
    return parts
