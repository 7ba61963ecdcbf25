from xml.etree import ElementTree

import pytest

from search.drawing.svg import BLUE, GREEN, Drawing

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.document())


def test_text_titles_and_tooltips_are_escaped() -> None:
    hostile = "<script>\"a\" & 'b'</script>"
    drawing = Drawing(100, 50, title=hostile, colours={})
    drawing.text(1, 2, hostile, tooltip=hostile)
    root = parsed(drawing)
    assert root.get("aria-label") == hostile
    text = root.find(f"{SVG}text")
    assert text is not None
    assert text.text == hostile
    assert text.findtext(f"{SVG}title") == hostile
    assert root.find(f".//{SVG}script") is None


def test_a_class_has_a_colour_for_light_and_for_dark_pages() -> None:
    drawing = Drawing(100, 50, title="t", colours={"compute": BLUE, "memory": GREEN})
    style = parsed(drawing).findtext(f"{SVG}style")
    assert style is not None
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    for name, colour in (("compute", BLUE), ("memory", GREEN)):
        assert f".{name}{{color:{colour.light}}}" in light
        assert f".{name}{{color:{colour.dark}}}" in dark


def test_a_scope_keeps_the_rules_to_one_drawing() -> None:
    drawing = Drawing(100, 50, title="t", colours={"c0": BLUE})
    root = ElementTree.fromstring(drawing.document("plot-3"))
    assert root.get("class") == "plot-3"
    style = root.findtext(f"{SVG}style") or ""
    rules = style.replace("@media (prefers-color-scheme:dark){", "").replace("}}", "}")
    for rule in rules.strip().split("}"):
        for selector in rule.partition("{")[0].strip().split(","):
            assert not selector or selector.split()[0] in (".plot-3", "svg.plot-3")
    assert f".plot-3 .c0{{color:{BLUE.light}}}" in style


@pytest.mark.parametrize("scales", [False, True])
def test_a_scaling_drawing_has_no_size_of_its_own(scales: bool) -> None:
    root = parsed(Drawing(100, 50, title="t", colours={}, scales=scales))
    assert root.get("viewBox") == "0 0 100 50"
    assert (root.get("width") is None) == scales


def test_marks_keep_their_places_to_a_tenth_of_a_pixel() -> None:
    drawing = Drawing(100, 50, title="t", colours={"a": BLUE})
    drawing.bar("a", 1.04, 2, 10.26, 5, tooltip="ten")
    drawing.curve("a", [(0, 1), (2.345, 1e1)])
    root = parsed(drawing)
    bar = root.findall(f"{SVG}rect")[1]  # the first one is the page
    assert [bar.get(key) for key in ("class", "x", "y", "width", "height")] == [
        "bar a",
        "1",
        "2",
        "10.3",
        "5",
    ]
    assert bar.findtext(f"{SVG}title") == "ten"
    curve = root.find(f"{SVG}polyline")
    assert curve is not None
    assert curve.get("points") == "0.0,1.0 2.3,10.0"
