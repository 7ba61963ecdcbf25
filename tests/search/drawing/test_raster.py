"""PNG of cells: read back, its colours are those of the cells."""

from __future__ import annotations

import io

from PIL import Image

from search.drawing.pictures import CLASSES
from search.drawing.raster import draw_png
from tests.trimtab.test_pictures import CELLS
from trimtab.pictures import CellPicture, read_pictures


def test_every_cell_has_the_colour_of_its_class() -> None:
    rows = ["##.", ".F.", "..#"]
    classes = [
        {"mark": "#", "name": "metal"},
        {"mark": "F", "name": "feed", "over": "#"},
    ]
    (picture,) = read_pictures([{**CELLS, "rows": rows, "classes": classes}])
    assert isinstance(picture, CellPicture)
    image = Image.open(io.BytesIO(draw_png(picture)))
    assert image.format == "PNG"
    side = 1000 // 3
    expected = {"#": CLASSES[0].light, "F": CLASSES[1].light, ".": "#ffffff"}
    for j, row in enumerate(rows):
        for i, mark in enumerate(row):
            at = (40 + round((i + 0.5) * side), 80 + round((j + 0.5) * side))
            assert "#{:02x}{:02x}{:02x}".format(*image.getpixel(at)) == expected[mark]
    # Beside the feed's mark lies metal.
    corner = image.getpixel((40 + side + 9, 80 + side + 9))
    assert "#{:02x}{:02x}{:02x}".format(*corner) == CLASSES[0].light
