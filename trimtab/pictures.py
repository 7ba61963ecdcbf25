"""Pictures of an incumbent as plain values: cells of a grid, and curves over an axis.

A run sends values, never a drawing: the service checks them against these models, draws them itself
and shows them beside the curve of the objective. A hostile run can send wrong numbers, no markup.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, model_validator

from trimtab.specs.common import WireModel

MOST_PICTURES = 4
MOST_BYTES = 32_768  # of all pictures of one incumbent, as JSON
_MOST_SIDE = 128  # rows and columns of cells
_MOST_POINTS = 401


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable text on one line, got a control character")
    return text


Words = Annotated[str, Field(max_length=600), AfterValidator(_printable)]
Label = Annotated[str, Field(max_length=60), AfterValidator(_printable)]
Mark = Annotated[str, Field(pattern=r"^[!-~]$")]
Row = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=_MOST_SIDE)]
Numbers = Annotated[
    tuple[float, ...], Field(min_length=1, max_length=_MOST_POINTS, strict=False)
]
Range = Annotated[tuple[float, float], Field(strict=False)]


class CellClass(WireModel):
    """A class of cells with its entry in the legend."""

    mark: Mark
    """Character of the class in `rows`."""
    name: Label
    """Name in the legend."""
    over: Mark | None = None
    """Class drawn beneath it, e.g. the metal around a feed; its own mark is then half as wide."""


class CellPicture(WireModel):
    """Cells of a grid by class, with a scale bar. A mark without a class is an empty cell."""

    type: Literal["cells"] = "cells"
    """Kind of picture."""
    title: Label
    """Title above the picture."""
    alt: Words
    """Text for readers who do not see the picture."""
    rows: Annotated[
        tuple[Row, ...], Field(min_length=1, max_length=_MOST_SIDE, strict=False)
    ]
    """Rows of equal length, the uppermost first; one character for each cell."""
    classes: Annotated[
        tuple[CellClass, ...], Field(min_length=1, max_length=6, strict=False)
    ]
    """Classes of cells."""
    cell: Annotated[float, Field(gt=0)]
    """Side of a cell."""
    unit: Annotated[str, Field(max_length=12), AfterValidator(_printable)]
    """Unit of `cell`."""

    @model_validator(mode="after")
    def _rectangular(self) -> CellPicture:
        if len({len(row) for row in self.rows}) != 1:
            raise ValueError("rows: expected rows of equal length, got different ones")
        return self


class PlotCurve(WireModel):
    """A line of a plot."""

    name: Label
    """Name in the legend."""
    x: Numbers
    """Positions along the axis."""
    y: Numbers
    """Values, as many as `x`."""

    @model_validator(mode="after")
    def _as_many(self) -> PlotCurve:
        if len(self.x) != len(self.y):
            raise ValueError(
                f"y: expected {len(self.x)} values as in x, got {len(self.y)}"
            )
        return self


class PlotRegion(WireModel):
    """A shaded rectangle of a plot, e.g. values that a requirement excludes."""

    name: Label
    """Name in the legend; regions of one name share an entry."""
    x: Range
    """Left and right edge."""
    y: Range
    """Lower and upper edge."""


class PlotPicture(WireModel):
    """Curves over an axis, with shaded regions behind them."""

    type: Literal["plot"] = "plot"
    """Kind of picture."""
    title: Label
    """Title above the picture."""
    alt: Words
    """Text for readers who do not see the picture."""
    x_label: Label
    """Quantity and unit of the x axis."""
    y_label: Label
    """Quantity and unit of the y axis."""
    x: Range
    """Ends of the x axis."""
    y: Range
    """Ends of the y axis; values beyond them are drawn at the edge."""
    curves: Annotated[
        tuple[PlotCurve, ...], Field(min_length=1, max_length=6, strict=False)
    ]
    """Lines, in the order of the legend."""
    regions: Annotated[tuple[PlotRegion, ...], Field(max_length=16, strict=False)] = ()
    """Shaded rectangles."""

    @model_validator(mode="after")
    def _ascending(self) -> PlotPicture:
        for name, (low, high) in (("x", self.x), ("y", self.y)):
            if not low < high or not high - low < float("inf"):
                raise ValueError(
                    f"{name}: expected ends in ascending order, got {low}, {high}"
                )
        return self


Picture = Annotated[CellPicture | PlotPicture, Field(discriminator="type")]
Pictures = Annotated[tuple[Picture, ...], Field(max_length=MOST_PICTURES, strict=False)]
_PICTURES: TypeAdapter[tuple[CellPicture | PlotPicture, ...]] = TypeAdapter(
    Pictures, config=ConfigDict(defer_build=True)
)


def read_pictures(values: Any) -> tuple[CellPicture | PlotPicture, ...]:
    """Read pictures from JSON values. Raises ValueError, also beyond `MOST_BYTES`."""
    pictures = _PICTURES.validate_python(values)
    size = len(json.dumps(values))
    if size > MOST_BYTES:
        raise ValueError(f"pictures: expected at most {MOST_BYTES} bytes, got {size}")
    return pictures
