"""Vendored files equal their tables byte for byte, and no other files lie beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("services/web/static/vendor", "tests/e2e/vendor")


@pytest.mark.parametrize("folder", FOLDERS)
def test_hashes(folder: str) -> None:
    here = ROOT / folder
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (here / "VENDORED.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| file")
    ]
    listed = {row[0]: row[-1] for row in rows}
    assert listed
    assert listed == {
        name: hashlib.sha256((here / name).read_bytes()).hexdigest() for name in listed
    }
    licences = {row[4].split("(")[1].rstrip(")") for row in rows}
    assert {path.name for path in here.iterdir()} == {*listed, *licences, "VENDORED.md"}


def test_nothing_points_elsewhere() -> None:
    """No template, style or script names another origin, an inline handler or style."""
    own = [
        *(ROOT / "services/web/templates").iterdir(),
        *(ROOT / "services/web/static").glob("*.*"),
    ]
    assert len(own) > 10
    for path in own:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        for forbidden in (
            "http://",
            "https://",
            "<style",
            " style=",
            "onclick=",
            "onload=",
            "javascript:",
            "|safe",
        ):
            assert forbidden not in text, f"{path.name} holds {forbidden}"
