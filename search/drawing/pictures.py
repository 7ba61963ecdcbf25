"""Pictures of an incumbent (`trimtab.pictures`) as SVG, for the job page and for result files."""

from __future__ import annotations

from search.drawing.axes import CURVES, LinePlot
from search.drawing.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, Colour, Drawing
from search.drawing.ticks import round_ticks
from trimtab.pictures import CellClass, CellPicture, PlotPicture

CLASSES = (ORANGE, BLUE, PURPLE, GREEN, GREY, Colour("#a3195b", "#ea76ab"))
_SIDE = 360.0  # of the longer side of a grid, pixels
_LEFT, _TOP = 20, 44
_OVERLAP = 0.3  # of neighbouring cells: no gaps between cells of one class


def draw_picture(picture: CellPicture | PlotPicture) -> str:
    """Return the SVG of a picture."""
    if isinstance(picture, CellPicture):
        return _draw_cells(picture)
    return _draw_plot(picture)


def scale_bar(span: float) -> float:
    """Return a round length of about a quarter of `span`."""
    ticks = round_ticks(0.0, span, most=5)
    return ticks[1] if len(ticks) > 1 else span


def _draw_cells(picture: CellPicture) -> str:
    rows, columns = len(picture.rows), len(picture.rows[0])
    side = _SIDE / max(rows, columns)
    width, height = columns * side, rows * side
    colours = {f"k{i}": CLASSES[i] for i in range(len(picture.classes))}
    bottom = _TOP + height
    drawing = Drawing(
        400,
        round(bottom + 60),
        title=picture.title,
        colours={**colours, "ink": Colour("#1b1f24", "#e6e9ec")},
        scales=True,
    )
    drawing.text(_LEFT, 24, picture.title, style="title")
    drawing.frame(_LEFT, _TOP, width, height)
    by_mark = {kind.mark: (i, kind) for i, kind in enumerate(picture.classes)}
    for layer in (False, True):  # cells, then marks upon them
        for j, row in enumerate(picture.rows):
            for first, last, mark in mark_runs(row, picture.classes, upper=layer):
                number, kind = by_mark[mark]
                x, y = _LEFT + first * side, _TOP + j * side
                if layer:
                    _draw_mark(drawing, f"k{number}", (x, y), side, kind.name)
                else:
                    drawing.bar(
                        f"k{number}",
                        x,
                        y,
                        (last - first) * side + _OVERLAP,
                        side + _OVERLAP,
                    )
    length = scale_bar(columns * picture.cell)
    pixels = length / picture.cell * side
    drawing.bar("ink", _LEFT, bottom + 14, pixels, 3)
    for x in (_LEFT, _LEFT + pixels - 1.5):
        drawing.bar("ink", x, bottom + 10.5, 1.5, 10)
    drawing.text(_LEFT + pixels + 8, bottom + 20, f"{length:.6g} {picture.unit}".strip())
    step = 360 / max(3, len(picture.classes))
    for i, kind in enumerate(picture.classes):
        drawing.key(f"k{i}", _LEFT + step * i, bottom + 46, kind.name)
    return drawing.document() + "\n"


def _draw_mark(
    drawing: Drawing, colour: str, corner: tuple[float, float], side: float, name: str
) -> None:
    x, y = corner
    drawing.bar(colour, x + side / 4, y + side / 4, side / 2, side / 2, tooltip=name)


def mark_runs(
    row: str, classes: tuple[CellClass, ...], *, upper: bool
) -> list[tuple[int, int, str]]:
    """Return (first, end, mark) of the runs of a class; single cells in the upper layer."""
    beneath = {kind.mark: kind.over for kind in classes if kind.over is not None}
    full = {kind.mark for kind in classes if kind.over is None}
    if upper:
        return [(i, i + 1, mark) for i, mark in enumerate(row) if mark in beneath]
    marks = [beneath.get(mark, mark) for mark in row]
    runs: list[tuple[int, int, str]] = []
    for i, mark in enumerate(marks):
        if mark not in full:
            continue
        if runs and runs[-1][1] == i and runs[-1][2] == mark:
            runs[-1] = (runs[-1][0], i + 1, mark)
        else:
            runs.append((i, i + 1, mark))
    return runs


def _draw_plot(picture: PlotPicture) -> str:
    names = list(dict.fromkeys(region.name for region in picture.regions))
    plot = LinePlot(
        picture.title,
        picture.x,
        picture.y,
        x_label=picture.x_label,
        y_label=picture.y_label,
        keys=len(picture.curves) + len(names),
    )
    for region in picture.regions:
        plot.region(region.x, region.y, region.name)
    for number, curve in enumerate(picture.curves):
        colour = f"c{number % CURVES}"
        plot.curve(colour, zip(curve.x, curve.y, strict=True))
        plot.key(colour, curve.name)
    for name in names:
        plot.key("pale", name, thin=False)
    return plot.drawing.document() + "\n"
