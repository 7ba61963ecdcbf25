"""Axes with round ticks, for curves over a continuous quantity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from search.drawing.svg import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, Colour, Drawing
from search.drawing.ticks import round_ticks, tick_text

COLOURS: Mapping[str, Colour] = {
    "c0": BLUE,
    "c1": ORANGE,
    "c2": GREEN,
    "c3": PURPLE,
    "c4": GREY,
    "pale": PALE,
}
CURVES = 5  # colours of curves before they repeat
_LEFT, _TOP, _WIDTH, _HEIGHT = 52, 44, 430, 240
_KEY = 18  # height of an entry of the legend


class LinePlot:
    """Axes with shaded regions and curves, drawn in the order of the calls."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        x_label: str,
        y_label: str,
        keys: int,
    ) -> None:
        """Begin a plot over the ranges x and y; `keys` is the number of entries in the legend."""
        self._x, self._y = x, y
        self._bottom = _TOP + _HEIGHT
        self._keys = 0
        self.drawing = Drawing(
            _LEFT + _WIDTH + 20,
            self._bottom + 40 + _KEY * keys,
            title=title,
            colours=COLOURS,
            scales=True,
        )
        self.drawing.text(_LEFT, 22, title, style="title")
        end = _LEFT + _WIDTH
        for value in round_ticks(*x):
            left, _ = self.place(value, y[0])
            self.drawing.line(left, _TOP, left, self._bottom, style="grid")
            self.drawing.text(
                left, self._bottom + 16, tick_text(value, x[1] - x[0]), anchor="middle"
            )
        for value in round_ticks(*y):
            _, top = self.place(x[0], value)
            self.drawing.line(_LEFT, top, end, top, style="grid")
            self.drawing.text(
                _LEFT - 6, top + 4, tick_text(value, y[1] - y[0]), anchor="end"
            )
        self.drawing.frame(_LEFT, _TOP, _WIDTH, _HEIGHT)
        self.drawing.text(end, _TOP - 8, y_label, style="dim", anchor="end")
        self.drawing.text(end, self._bottom + 32, x_label, style="dim", anchor="end")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point, moved into the axes."""
        across, up = _share(x, *self._x), _share(y, *self._y)
        return _LEFT + _WIDTH * across, _TOP + _HEIGHT * (1 - up)

    def curve(self, colour: str, points: Iterable[tuple[float, float]]) -> None:
        """Draw a line."""
        self.drawing.curve(colour, [self.place(x, y) for x, y in points])

    def region(self, x: tuple[float, float], y: tuple[float, float], words: str) -> None:
        """Shade a rectangle, at least one pixel wide."""
        (left, bottom), (right, top) = self.place(x[0], y[0]), self.place(x[1], y[1])
        self.drawing.bar(
            "pale", left, top, max(1.0, right - left), bottom - top, tooltip=words
        )

    def key(self, colour: str, words: str, *, thin: bool = True) -> None:
        """Add an entry to the legend."""
        baseline = self._bottom + 40 + _KEY * self._keys
        self.drawing.key(colour, _LEFT, baseline, words, thin=thin)
        self._keys += 1


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
