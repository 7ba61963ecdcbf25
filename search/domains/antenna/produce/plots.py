"""Pictures of an antenna: metal, |S11| over frequency, Smith chart, radiation pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.drawing.svg import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, Drawing
from solvers.field.far_field import FarField
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_LEFT, _TOP, _WIDTH, _HEIGHT = 60, 44, 560, 280
_COLOURS = {
    "c0": BLUE,
    "c1": ORANGE,
    "c2": GREEN,
    "c3": PURPLE,
    "c4": GREY,
    "pale": PALE,
}
_LOWEST_DB = -30.0


class LinePlot:
    """Axes with lines, drawn in the order of the calls."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        x_label: str,
        y_label: str,
        keys: Sequence[str],
    ) -> None:
        self._x, self._y = x, y
        self.drawing = Drawing(
            _LEFT + _WIDTH + 20,
            _TOP + _HEIGHT + 50 + 18 * len(keys),
            title=title,
            colours=_COLOURS,
            scales=True,
        )
        self.drawing.text(_LEFT, 22, title, style="title")
        bottom = _TOP + _HEIGHT
        for part in np.linspace(0, 1, 7):
            value_x, value_y = x[0] + part * (x[1] - x[0]), y[0] + part * (y[1] - y[0])
            left, top = self.place(value_x, value_y)
            self.drawing.line(left, _TOP, left, bottom, style="grid")
            self.drawing.line(_LEFT, top, _LEFT + _WIDTH, top, style="grid")
            self.drawing.text(left, bottom + 16, f"{value_x:.4g}", anchor="middle")
            self.drawing.text(_LEFT - 6, top + 4, f"{value_y:.3g}", anchor="end")
        end = _LEFT + _WIDTH
        self.drawing.text(end, bottom + 32, x_label, style="dim", anchor="end")
        self.drawing.text(_LEFT, bottom + 32, y_label, style="dim")
        for number, words in enumerate(keys):
            self.drawing.key(
                f"c{number}", _LEFT, bottom + 50 + 18 * number, words, thin=True
            )

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point, moved into the axes."""
        across = np.clip((x - self._x[0]) / (self._x[1] - self._x[0]), 0, 1)
        up = np.clip((y - self._y[0]) / (self._y[1] - self._y[0]), 0, 1)
        return _LEFT + _WIDTH * float(across), _TOP + _HEIGHT * float(1 - up)

    def curve(self, colour: str, x: Real, y: Real) -> None:
        """Draw a line."""
        self.drawing.curve(
            colour, [self.place(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        )

    def box(self, x: tuple[float, float], y: tuple[float, float], tooltip: str) -> None:
        """Shade a rectangle."""
        (left, bottom), (right, top) = self.place(x[0], y[0]), self.place(x[1], y[1])
        self.drawing.bar(
            "pale", left, top, max(1.0, right - left), bottom - top, tooltip=tooltip
        )


def draw_metal(spec: AntennaSpec, design: Design) -> str:
    """Return a picture of metal, feed and vias with a scale bar; x to the right, y up."""
    n = spec.grid.cells
    side = 360 / n
    top, left = 44, 20
    title = f"{n} x {n} cells of {spec.grid.cell_mm:g} mm"
    colours = {"metal": ORANGE, "feed": BLUE, "via": PURPLE, "pale": PALE}
    drawing = Drawing(400, top + 420, title=title, colours=colours)
    drawing.text(left, 24, title, style="title")
    drawing.frame(left, top, 360, 360)
    for i, j in np.argwhere(design.mask):
        # A little larger than a cell: no gaps between cells of one piece of metal.
        drawing.bar(
            "metal", left + i * side, top + (n - 1 - j) * side, side + 0.3, side + 0.3
        )
    for name, (i, j) in [("feed", design.feed), *(("via", via) for via in design.vias)]:
        x, y = left + (i + 0.25) * side, top + (n - 0.75 - j) * side
        drawing.bar(name, x, y, side / 2, side / 2, tooltip=f"{name} ({i}, {j})")
    bar_mm = spec.size_mm / 4
    bottom = top + 360
    drawing.bar("pale", left, bottom + 14, 90, 4)
    drawing.text(left + 98, bottom + 20, f"{bar_mm:g} mm")
    for number, name in enumerate(("metal", "feed", "via")):
        drawing.key(name, left + 90 * number, bottom + 46, name)
    return drawing.document() + "\n"


def draw_s11(spec: AntennaSpec, curves: Mapping[str, tuple[Real, Complex]]) -> str:
    """Return |S11| in dB over GHz; shaded areas are those that no curve may enter."""
    every = np.concatenate([frequencies for frequencies, _ in curves.values()])
    plot = LinePlot(
        "Reflection |S11|",
        (float(every.min()) / 1e9, float(every.max()) / 1e9),
        (_LOWEST_DB, 0.0),
        x_label="GHz",
        y_label="dB; shaded: excluded by the bands",
        keys=list(curves),
    )
    for band in spec.bands:
        span = (band.f_lo_hz / 1e9, band.f_hi_hz / 1e9)
        plot.box(span, (band.s11_max_db, 0.0), f"at most {band.s11_max_db:g} dB")
    for avoid in spec.avoid:
        span = (avoid.f_lo_hz / 1e9, avoid.f_hi_hz / 1e9)
        plot.box(
            span, (_LOWEST_DB, avoid.s11_min_db), f"at least {avoid.s11_min_db:g} dB"
        )
    for number, (frequencies, s11) in enumerate(curves.values()):
        level = 20 * np.log10(np.maximum(np.abs(s11), 1e-6))
        plot.curve(f"c{number}", frequencies / 1e9, level)
    return plot.drawing.document() + "\n"


def draw_smith(spec: AntennaSpec, curves: Mapping[str, tuple[Real, Complex]]) -> str:
    """Return the Smith chart: S11 in the complex plane over circles of equal R and X."""
    title = f"Smith chart, {spec.z0_ohm:g} ohm"
    drawing = Drawing(
        400, 440 + 18 * (len(curves) + 1), title=title, colours=_COLOURS, scales=False
    )
    drawing.text(20, 24, title, style="title")

    def line(colour: str, s11: Complex) -> None:
        drawing.curve(colour, [(200 + 180 * z.real, 230 - 180 * z.imag) for z in s11])

    sweep = np.tan(np.linspace(-np.pi / 2 + 1e-3, np.pi / 2 - 1e-3, 181))
    for resistance in (0.0, 0.2, 0.5, 1.0, 2.0, 5.0):
        line("pale", _reflection(resistance + 1j * sweep))
    positive = np.concatenate([[0.0], np.geomspace(1e-2, 1e3, 80)])
    for reactance in (0.2, 0.5, 1.0, 2.0, 5.0):
        line("pale", _reflection(positive + 1j * reactance))
        line("pale", _reflection(positive - 1j * reactance))
    drawing.line(20, 230, 380, 230, style="grid")
    for number, (name, (frequencies, s11)) in enumerate(curves.items()):
        line(f"c{number}", s11)
        drawing.key(f"c{number}", 20, 440 + 18 * number, name, thin=True)
        for band in spec.bands:
            inside = (frequencies >= band.f_lo_hz) & (frequencies <= band.f_hi_hz)
            if number == 0 and inside.any():
                for z in s11[inside]:
                    x, y = 200 + 180 * z.real, 230 - 180 * z.imag
                    drawing.bar("c3", x - 2, y - 2, 4, 4)
    drawing.key("c3", 20, 440 + 18 * len(curves), "within a band")
    return drawing.document() + "\n"


def draw_pattern(fields: Sequence[FarField]) -> str:
    """Return directivity over the angle from the zenith, in both principal planes."""
    keys = [
        f"{field.frequency_hz / 1e9:.3g} GHz, φ = {angle}°"
        for field in fields
        for angle in (0, 90)
    ]
    plot = LinePlot(
        "Radiation pattern above an endless board",
        (-90.0, 90.0),
        (-20.0, 10.0),
        x_label="angle from the zenith, degrees",
        y_label="directivity, dBi",
        keys=keys,
    )
    number = 0
    for field in fields:
        phis = len(field.phi_rad)
        theta = np.degrees(field.theta_rad)
        level = 10 * np.log10(np.maximum(field.directivity, 1e-6))
        for first in (0, phis // 4):
            opposite = first + phis // 2
            x = np.concatenate([-theta[::-1], theta])
            y = np.concatenate([level[::-1, opposite], level[:, first]])
            plot.curve(f"c{number % 5}", x, y)
            number += 1
    return plot.drawing.document() + "\n"


def _reflection(z: Complex) -> Complex:
    return np.asarray((z - 1) / (z + 1))
