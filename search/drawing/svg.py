"""SVG documents for results and measurements: no scripts, colours for light and dark pages.

The service writes SVG elements only here; the SDK's notebook curve is separate, see
deploy/docs/adr/0001-two-distributions-one-repository.md. A drawing declares its colours by class
name; marks (bars, lines, curves) and the legend use these names, and the style block gives each
class its two colours. Text is escaped here, so callers pass it plain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Literal, NamedTuple


class Colour(NamedTuple):
    """CSS colours of one class, for light and for dark pages."""

    light: str
    dark: str


BLUE = Colour("#2f6fde", "#6ea0ff")
ORANGE = Colour("#e08a1e", "#f0aa50")
PURPLE = Colour("#8a63d2", "#b195f0")
GREEN = Colour("#3a9d6e", "#62c497")
GREY = Colour("#8c959f", "#77808a")
PALE = Colour("#b6bec8", "#4a535d")

_INK = Colour("#1b1f24", "#e6e9ec")
_PAGE = Colour("#ffffff", "#14181d")

# A class of the drawing sets `color`; marks take it as `currentColor`.
_RULES = (
    ("text,.bar", "fill:currentColor"),
    (".bar", "shape-rendering:crispEdges"),
    (".title", "font-size:15px;font-weight:600"),
    (".strong", "font-weight:600"),
    (".dim", "opacity:.65"),
    (".curve", "fill:none;stroke:currentColor;stroke-width:1.6"),
    (".frame", "fill:none;stroke:currentColor;opacity:.35"),
    (".grid", "stroke:currentColor;opacity:.15"),
    (".mark", "stroke:currentColor;stroke-dasharray:4 3;opacity:.7"),
)

LineStyle = Literal["grid", "mark"]
TextStyle = Literal["", "title", "strong", "dim"]
Anchor = Literal["start", "middle", "end"]


class Drawing:
    """An SVG document under construction. Coordinates are pixels from the top left corner."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        title: str,
        colours: Mapping[str, Colour],
        scales: bool = False,
    ) -> None:
        """Begin a document.

        title: its accessible name; draw it with `text` where it is to be seen.
        colours: class name → colours of the marks.
        scales: the picture fills the width of its place instead of having a size of its own.
        """
        size = "" if scales else f' width="{width}" height="{height}"'
        self._root = (
            f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"{size} '
            f'role="img" aria-label="{escape(title, quote=True)}"'
        )
        self._colours = colours
        self._parts = ['<rect class="page" width="100%" height="100%"/>']

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        style: TextStyle = "",
        anchor: Anchor = "start",
        tooltip: str = "",
    ) -> None:
        """Write one line; `y` is its baseline."""
        attributes = f' class="{style}"' if style else ""
        if anchor != "start":
            attributes += f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}"{attributes}>{escape(words)}{_tooltip(tooltip)}</text>'
        )

    def bar(
        self,
        colour: str,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        tooltip: str = "",
    ) -> None:
        """Draw a filled rectangle in the colour of a class."""
        self._rectangle(f"bar {colour}", x, y, width, height, tooltip)

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """Draw the outline of a rectangle."""
        self._rectangle("frame", x, y, width, height, "")

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, style: LineStyle = "mark"
    ) -> None:
        """Draw a grid line or a dashed mark."""
        self._parts.append(
            f'<line class="{style}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'
        )

    def curve(self, colour: str, points: Iterable[tuple[float, float]]) -> None:
        """Draw a line through points (x, y) in the colour of a class."""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline class="curve {colour}" points="{joined}"/>')

    def key(
        self, colour: str, x: float, y: float, words: str, *, thin: bool = False
    ) -> None:
        """Draw one entry of a legend: a swatch and its meaning. `y` is the text's baseline."""
        if thin:
            self.bar(colour, x, y - 5, 14, 3)
        else:
            self.bar(colour, x, y - 9, 10, 10)
        self.text(x + (20 if thin else 15), y, words)

    def document(self, scope: str = "") -> str:
        """Return the finished SVG.

        scope: a class of its own, for a drawing inside a page that has others.
        """
        head = f'<svg class="{scope}" ' if scope else "<svg "
        style = f"<style>{_style(self._colours, scope)}</style>"
        return "\n".join([f"{head}{self._root}>", style, *self._parts, "</svg>"])

    def _rectangle(
        self, css: str, x: float, y: float, width: float, height: float, tooltip: str
    ) -> None:
        end = f">{_tooltip(tooltip)}</rect>" if tooltip else "/>"
        self._parts.append(
            f'<rect class="{css}" x="{_n(x)}" y="{_n(y)}" '
            f'width="{_n(width)}" height="{_n(height)}"{end}'
        )


def _style(colours: Mapping[str, Colour], scope: str) -> str:
    """Return the rules of a drawing; with a scope they touch nothing else on a page."""
    root, inside = (f"svg.{scope}", f".{scope} ") if scope else ("svg", "")

    def rule(selectors: str, body: str) -> str:
        return f"{','.join(inside + one for one in selectors.split(','))}{{{body}}}"

    dark = "".join(rule(f".{name}", f"color:{c.dark}") for name, c in colours.items())
    return "\n".join(
        (
            "",
            f"{root}{{font:12px system-ui,sans-serif;color:{_INK.light}}}",
            rule(".page", f"fill:{_PAGE.light}"),
            *(rule(selectors, body) for selectors, body in _RULES),
            *(rule(f".{name}", f"color:{c.light}") for name, c in colours.items()),
            f"@media (prefers-color-scheme:dark){{{root}{{color:{_INK.dark}}}"
            f"{rule('.page', f'fill:{_PAGE.dark}')}{dark}}}",
            "",
        )
    )


def _tooltip(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""


def _n(value: float) -> str:
    """Format a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
