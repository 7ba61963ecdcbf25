"""Pictures of an antenna in SVG: Smith chart and radiation pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.drawing.axes import COLOURS, CURVES, LinePlot
from search.drawing.svg import Drawing
from solvers.field.far_field import FarField
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_CENTRE_X, _CENTRE_Y, _RADIUS = 230, 250, 190


def draw_smith(spec: AntennaSpec, curves: Mapping[str, tuple[Real, Complex]]) -> str:
    """Return the Smith chart: S11 in the complex plane over circles of equal R and X."""
    title = f"Smith chart, {spec.z0_ohm:g} ohm"
    drawing = Drawing(
        460,
        _CENTRE_Y + _RADIUS + 60 + 18 * len(curves),
        title=title,
        colours=COLOURS,
        scales=True,
    )
    drawing.text(20, 24, title, style="title")

    def line(colour: str, s11: Complex) -> None:
        drawing.curve(colour, [_on_chart(z) for z in s11])

    _draw_circles(drawing, line)
    bottom = _CENTRE_Y + _RADIUS + 42
    for number, (name, (frequencies, s11)) in enumerate(curves.items()):
        for band in spec.bands:
            inside = (frequencies >= band.f_lo_hz) & (frequencies <= band.f_hi_hz)
            for z in s11[inside]:
                x, y = _on_chart(z)
                drawing.bar(f"c{number}", x - 2.5, y - 2.5, 5, 5)
        line(f"c{number}", s11)
        words = f"{name}; squares: within a band"
        drawing.key(f"c{number}", 20, bottom + 18 * number, words, thin=True)
    return drawing.document() + "\n"


def _draw_circles(drawing: Drawing, line: Callable[[str, Complex], None]) -> None:
    """Draw and label the circles of equal resistance and reactance, relative to z0."""
    sweep = np.tan(np.linspace(-np.pi / 2 + 1e-3, np.pi / 2 - 1e-3, 181))
    positive = np.concatenate([[0.0], np.geomspace(1e-2, 1e3, 80)])
    for resistance in (0.0, 0.2, 0.5, 1.0, 2.0, 5.0):
        line("pale", _reflection(resistance + 1j * sweep))
    for reactance in (0.2, 0.5, 1.0, 2.0, 5.0):
        line("pale", _reflection(positive + 1j * reactance))
        line("pale", _reflection(positive - 1j * reactance))
        for sign in (1, -1):
            x, y = _on_chart(1.07 * complex(_reflection(np.array(1j * sign * reactance))))
            words = f"{'+' if sign > 0 else '−'}j{reactance:g}"
            drawing.text(x, y + 4, words, style="dim", anchor="middle")
    left, right = _on_chart(-1 + 0j), _on_chart(1 + 0j)
    drawing.line(left[0], left[1], right[0], right[1], style="grid")
    for resistance in (0.2, 0.5, 1.0, 2.0, 5.0):
        x, y = _on_chart(complex(_reflection(np.array(resistance + 0j))))
        drawing.text(x + 2, y - 3, f"{resistance:g}", style="dim")


def _on_chart(s11: complex) -> tuple[float, float]:
    """Return the pixel of a reflection; |S11| = 1 is the rim."""
    return _CENTRE_X + _RADIUS * s11.real, _CENTRE_Y - _RADIUS * s11.imag


def draw_pattern(fields: Sequence[FarField]) -> str:
    """Return directivity over the angle from the zenith, in both principal planes."""
    plot = LinePlot(
        "Radiation pattern above an endless board",
        (-90.0, 90.0),
        (-20.0, 10.0),
        x_label="angle from the zenith, degrees",
        y_label="directivity, dBi",
        keys=2 * len(fields),
    )
    for number, field in enumerate(fields):
        phis = len(field.phi_rad)
        theta = np.degrees(field.theta_rad)
        level = 10 * np.log10(np.maximum(field.directivity, 1e-6))
        for plane, first in enumerate((0, phis // 4)):
            opposite = first + phis // 2
            x = np.concatenate([-theta[::-1], theta])
            y = np.concatenate([level[::-1, opposite], level[:, first]])
            colour = f"c{(2 * number + plane) % CURVES}"
            plot.curve(colour, zip(x.tolist(), y.tolist(), strict=True))
            frequency = f"{field.frequency_hz / 1e9:.3g} GHz"
            plot.key(colour, f"{frequency}, φ = {90 * plane}°")
    return plot.drawing.document() + "\n"


def _reflection(z: Complex) -> Complex:
    return np.asarray((z - 1) / (z + 1))
