from xml.etree import ElementTree

from search.drawing.curves import step_curves

SVG = "{http://www.w3.org/2000/svg}"


def points_of(picture: str) -> list[tuple[float, float]]:
    curve = ElementTree.fromstring(picture).find(f"{SVG}polyline")
    assert curve is not None
    return [
        (float(x), float(y))
        for x, y in (pair.split(",") for pair in str(curve.get("points")).split())
    ]


def test_a_value_holds_until_the_next_point_and_the_last_one_until_the_end() -> None:
    points = points_of(step_curves({"a": [(0, 4.0), (2, 1.0)]}, until=4.0, title="t"))
    (x0, high), (x1, y1), (x2, low), (x3, y3) = points
    assert (y1, y3) == (high, low)
    assert x1 == x2
    assert x1 - x0 == x3 - x2  # 2 of 4 seconds
    assert high < low  # larger values are higher up


def test_points_after_the_end_are_left_out() -> None:
    early = [(0, 4.0), (1, 3.0)]
    limits = (0.0, 5.0)
    picture = step_curves({"a": [*early, (9, 1.0)]}, until=4.0, title="t", limits=limits)
    assert picture == step_curves({"a": early}, until=4.0, title="t", limits=limits)


def test_values_beyond_the_limits_are_drawn_at_the_limit() -> None:
    curve = [(0, 1e9), (1, 0.5)]
    points = points_of(step_curves({"a": curve}, until=2.0, title="t", limits=(0, 1)))
    assert (
        points[0]
        == points_of(
            step_curves({"a": [(0, 1.0), (1, 0.5)]}, until=2.0, title="t", limits=(0, 1))
        )[0]
    )


def test_a_curve_without_points_is_in_the_legend_only() -> None:
    picture = step_curves({"a <b>": [], "c": [(0, 1.0)]}, until=1.0, title="t")
    assert picture.count("<polyline") == 1
    assert "a &lt;b&gt;" in picture
