"""Metal and reflection of a design as pictures: live on the job page, and as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem
from solvers.field.rational import Rational
from trimtab.pictures import CellClass, CellPicture, PlotCurve, PlotPicture, PlotRegion
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
LOWEST_DB = -30.0  # of the plot
_FLOOR = 1e-6  # of |S11|
LIVE_POINTS = 161
_METAL, _FEED, _VIA, _EMPTY = "#", "F", "V", "."


def live_pictures(
    problem: AntennaProblem, design: Design, response: Rational | None
) -> tuple[CellPicture | PlotPicture, ...]:
    """Return the pictures of an incumbent; without a response, of its metal alone.

    response: S11 by the fine solver over f / f_max.
    """
    metal = metal_picture(problem.spec, design)
    if response is None:
        return (metal,)
    frequencies = np.linspace(*problem.range_hz, LIVE_POINTS)
    s11 = response(frequencies / problem.frequencies_hz.max())
    return metal, s11_picture(problem.spec, {"method of moments": (frequencies, s11)})


def metal_picture(spec: AntennaSpec, design: Design) -> CellPicture:
    """Return metal, feed and vias; x to the right, y up."""
    n = spec.grid.cells
    marks = np.where(design.mask, _METAL, _EMPTY).astype("<U1")
    for mark, posts in ((_VIA, design.vias), (_FEED, (design.feed,))):
        for post in posts:
            marks[post] = mark
    classes = [
        CellClass(mark=_METAL, name="metal"),
        CellClass(mark=_FEED, name="feed", over=_METAL),
    ]
    if design.vias:
        classes.append(CellClass(mark=_VIA, name="via to ground", over=_METAL))
    return CellPicture(
        title=f"Metal on {n} x {n} cells of {spec.grid.cell_mm:g} mm",
        alt=f"Metal on {int(design.mask.sum())} of {n} x {n} cells of {spec.grid.cell_mm:g} mm, "
        f"feed in cell {list(design.feed)}, "
        + (f"vias in {[list(via) for via in design.vias]}" if design.vias else "no vias"),
        rows=tuple("".join(row) for row in marks.T[::-1]),
        classes=tuple(classes),
        cell=spec.grid.cell_mm,
        unit="mm",
    )


def s11_picture(
    spec: AntennaSpec, curves: Mapping[str, tuple[Real, Complex]]
) -> PlotPicture:
    """Return |S11| in dB over GHz; shaded regions are those that no curve may enter.

    curves: name → (frequencies in Hz, S11 there).
    """
    every = np.concatenate([frequencies for frequencies, _ in curves.values()])
    return PlotPicture(
        title="Reflection |S11|",
        alt="; ".join(_worst(spec, *curve, name) for name, curve in curves.items())[:600],
        x_label="frequency, GHz",
        y_label="|S11|, dB",
        x=(float(every.min()) / 1e9, float(every.max()) / 1e9),
        y=(LOWEST_DB, 0.0),
        curves=tuple(
            PlotCurve(
                name=name,
                x=tuple(np.round(frequencies / 1e9, 6).tolist()),
                y=tuple(np.round(_level_db(s11), 2).tolist()),
            )
            for name, (frequencies, s11) in curves.items()
        ),
        regions=tuple(_regions(spec)),
    )


def _regions(spec: AntennaSpec) -> Iterator[PlotRegion]:
    for band in spec.bands:
        low, high = band.f_lo_hz / 1e9, band.f_hi_hz / 1e9
        name = f"{low:g} to {high:g} GHz: at most {band.s11_max_db:g} dB"
        yield PlotRegion(name=name, x=(low, high), y=(band.s11_max_db, 0.0))
    for avoid in spec.avoid:
        low, high = avoid.f_lo_hz / 1e9, avoid.f_hi_hz / 1e9
        name = f"{low:g} to {high:g} GHz: at least {avoid.s11_min_db:g} dB"
        yield PlotRegion(name=name, x=(low, high), y=(LOWEST_DB, avoid.s11_min_db))


def _worst(spec: AntennaSpec, frequencies: Real, s11: Complex, name: str) -> str:
    """Return a sentence with the worst |S11| in each band."""
    level = _level_db(s11)
    words = []
    for region in _regions(spec):
        inside = (frequencies >= region.x[0] * 1e9) & (frequencies <= region.x[1] * 1e9)
        if inside.any():
            excluded_above = region.y[1] == 0.0
            reached = level[inside].max() if excluded_above else level[inside].min()
            words.append(f"{reached:.1f} dB in {region.name}")
    return f"{name}: |S11| reaches {', '.join(words)}" if words else name


def _level_db(s11: Complex) -> Real:
    level = 20 * np.log10(np.maximum(np.abs(s11), _FLOOR))
    return np.asarray(np.nan_to_num(level, nan=0.0, posinf=0.0))
