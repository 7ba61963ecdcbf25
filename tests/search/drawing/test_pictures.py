"""Pictures as SVG: well-formed, complete, and free of markup from their texts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from search.drawing.pictures import draw_picture, scale_bar
from tests.trimtab.test_pictures import CELLS, PLOT
from trimtab.pictures import read_pictures

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert('x')</script>"


def drawn(values: dict[str, object]) -> ElementTree.Element:
    (picture,) = read_pictures([values])
    return ElementTree.fromstring(draw_picture(picture))


def test_cells_are_merged_to_runs_and_marks_lie_upon_them() -> None:
    classes = [
        {"mark": "#", "name": "metal"},
        {"mark": "F", "name": "feed", "over": "#"},
    ]
    root = drawn({**CELLS, "rows": ["##F.", "....", "#..#"], "classes": classes})
    bars = [bar.get("class") for bar in root.iter(f"{SVG}rect")]
    assert bars.count("bar k0") == 3 + 1  # runs and legend
    assert bars.count("bar k1") == 1 + 1
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"metal", "feed", "5 mm"} <= set(texts)


def test_plot_has_curves_regions_and_one_entry_for_each_name() -> None:
    region = {"name": "limit", "x": [1.2, 1.4], "y": [-10.0, 0.0]}
    root = drawn({**PLOT, "regions": [region, region]})
    assert len(list(root.iter(f"{SVG}polyline"))) == 1
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts.count("limit") == 1
    assert {"GHz", "dB", "a", "-10"} <= set(texts)


def test_texts_are_escaped() -> None:
    curve = {"name": HOSTILE, "x": [1.0], "y": [1.0]}
    root = drawn({**PLOT, "title": HOSTILE, "curves": [curve]})
    assert root.find(f".//{SVG}script") is None
    assert root.get("aria-label") == HOSTILE


@pytest.mark.parametrize(
    ("span", "length"), [(24.0, 5.0), (36.0, 10.0), (1.2, 0.5), (380.0, 100.0)]
)
def test_scale_bar_is_round(span: float, length: float) -> None:
    assert scale_bar(span) == pytest.approx(length)
