"""Cells of a picture as PNG, for programs that take no SVG."""

from __future__ import annotations

import io

from search.drawing.pictures import CLASSES, mark_runs, scale_bar
from trimtab.pictures import CellPicture

_CELLS = 1000  # pixels of the longer side of the grid, at most
_LEFT, _TOP, _BELOW = 40, 80, 120
_INK, _PAPER, _LINE = "#1b1f24", "#ffffff", "#8c959f"
_TITLE, _TEXT = 30, 24  # sizes of the fonts


def draw_png(picture: CellPicture) -> bytes:
    """Return the picture as PNG: light background, title, legend and scale bar.

    A cell is a whole number of pixels, so that equal cells are equal in the picture.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows, columns = len(picture.rows), len(picture.rows[0])
    side = max(4, _CELLS // max(rows, columns))
    width, height = columns * side, rows * side
    image = Image.new(
        "RGB", (max(width + 2 * _LEFT, 640), _TOP + height + _BELOW), _PAPER
    )
    draw = ImageDraw.Draw(image)
    large, font = ImageFont.load_default(_TITLE), ImageFont.load_default(_TEXT)
    draw.text((_LEFT, 24), picture.title, fill=_INK, font=large)
    colour_of = {kind.mark: CLASSES[i].light for i, kind in enumerate(picture.classes)}
    for upper in (False, True):
        for j, row in enumerate(picture.rows):
            for first, end, mark in mark_runs(row, picture.classes, upper=upper):
                inset = side // 4 if upper else 0
                x0, y0 = _LEFT + first * side + inset, _TOP + j * side + inset
                x1, y1 = _LEFT + end * side - inset, _TOP + (j + 1) * side - inset
                draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour_of[mark])
    draw.rectangle((_LEFT - 1, _TOP - 1, _LEFT + width, _TOP + height), outline=_LINE)
    below = _TOP + height
    length = scale_bar(columns * picture.cell)
    end_x = _LEFT + round(length / picture.cell * side)
    draw.line((_LEFT, below + 36, end_x, below + 36), fill=_INK, width=4)
    for x in (_LEFT, end_x):
        draw.line((x, below + 26, x, below + 46), fill=_INK, width=4)
    words = f"{length:.6g} {picture.unit}".strip()
    draw.text((end_x + 14, below + 22), words, fill=_INK, font=font)
    x = _LEFT
    for kind in picture.classes:
        draw.rectangle((x, below + 76, x + 24, below + 100), fill=colour_of[kind.mark])
        draw.text((x + 34, below + 74), kind.name, fill=_INK, font=font)
        x += 34 + round(draw.textlength(kind.name, font=font)) + 40
    packed = io.BytesIO()
    image.save(packed, format="PNG", optimize=True)
    return packed.getvalue()
