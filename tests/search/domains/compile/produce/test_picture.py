"""Picture of sizes: valid XML, the functions that changed most first, hostile names escaped."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from search.domains.compile.produce.picture import changed_most, draw_sizes, kind_of
from solvers.llvm.types import Sizes


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        (".text.hot", "code"),
        (".data.rel.ro.local", "constants"),
        (".data", "data"),
        (".eh_frame_hdr", "unwind"),
        (".note", "other"),
    ],
)
def test_sections_have_a_kind_by_prefix(section: str, kind: str) -> None:
    assert kind_of(section) == kind


def test_functions_are_sorted_by_change_and_then_by_size() -> None:
    oz = {"same": 90, "shrunk": 50, "gone": 30, "small": 5}
    ours = {"same": 90, "shrunk": 20, "small": 5, "new": 8}
    assert [name for name, *_ in changed_most(oz, ours)] == [
        "shrunk",
        "gone",
        "new",
        "same",
        "small",
    ]


def test_the_picture_is_valid_xml_with_every_level_and_name() -> None:
    name = '<f&"g">'
    oz = Sizes(
        ir_instructions=9,
        loadable_bytes=120,
        sections={".text": 100, ".rodata": 20},
        functions={name: 100},
    )
    ours = Sizes(
        ir_instructions=8, loadable_bytes=90, sections={".text": 90}, functions={name: 90}
    )
    text = draw_sizes({"Oz": oz, "trimtab": ours}, title="90 & 120")
    root = ET.fromstring(text)
    words = "".join(root.itertext())
    for expected in (
        "-Oz",
        "trimtab",
        "90 bytes (-25.00 %)",
        name,
        "100 → 90",
        "90 & 120",
    ):
        assert expected in words
