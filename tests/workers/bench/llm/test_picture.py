"""The picture of loss against budget is an SVG with a line for each rule."""

from __future__ import annotations

from xml.etree import ElementTree

from workers.bench.llm import picture

CURVES = {
    "a & b": [(1.0, 0.0, 0.0, 0.0), (0.1, 0.5, 0.4, 0.6), (0.2, 0.2, 0.1, 0.3)],
    "c": [(1.0, 0.0, 0.0, 0.0), (0.1, 0.9, 0.8, 1.0), (0.2, 0.4, 0.3, 0.5)],
}


def points(drawn: str) -> list[list[tuple[float, float]]]:
    root = ElementTree.fromstring(drawn)
    lines = root.iter("{http://www.w3.org/2000/svg}polyline")
    return [
        [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        for line in lines
    ]


def test_lines_rise_to_the_left_and_stay_inside() -> None:
    drawn = picture.draw({"prose": CURVES, "code": CURVES}, highest=1.0)
    lines = points(drawn)
    assert len(lines) == 4
    for line in lines:
        xs, ys = zip(*line, strict=True)
        # Shares grow to the right, losses upwards, where y is smaller.
        assert list(xs) == sorted(xs)
        assert list(ys) == sorted(ys)
        assert all(0 <= x <= picture.WIDTH and 0 <= y <= picture.HEIGHT for x, y in line)
    assert "a &amp; b" in drawn
