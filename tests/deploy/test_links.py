"""Links between pages lead to files and anchors that exist; prose stays within 100 columns."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.deploy.markdown import DOCS, ROOT, anchors, links, pages, prose

COLUMNS = 100


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    faults = []
    for link in links(page.read_text(encoding="utf-8")):
        if link.target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = unquote(link.target).partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists():
            faults.append(f"{name_of(page)}:{link.line}: no such file: {link.target}")
        elif (
            anchor
            and aim.suffix == ".md"
            and anchor not in anchors(aim.read_text("utf-8"))
        ):
            faults.append(f"{name_of(page)}:{link.line}: no such anchor: {link.target}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_prose_is_wrapped(page: Path) -> None:
    lines = prose(page.read_text(encoding="utf-8")).splitlines()
    faults = [
        f"{name_of(page)}:{number}: {len(line)} columns"
        for number, line in enumerate(lines, start=1)
        if len(line) > COLUMNS
        and not line.lstrip().startswith(("|", "[", "!", "#", "<"))
        and " " in line.strip()
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_both_renderers_see_the_same_blocks(page: Path) -> None:
    """The site's renderer takes `#1` for a heading, and nests lists by four spaces."""
    lines = prose(page.read_text(encoding="utf-8")).splitlines()
    faults = [
        f"{name_of(page)}:{number}: {line[:60]}"
        for number, line in enumerate(lines, start=1)
        if re.match(r"\s*#+[^#\s]| {1,3}[-*] ", line)
    ]
    assert not faults, "\n".join(faults)


def test_the_site_shows_every_page() -> None:
    loader = importlib.util.spec_from_file_location(
        "site_navigation", DOCS.parent / "site_navigation.py"
    )
    assert loader is not None
    assert loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    listed = re.findall(
        r"[\w/.-]+/[\w.-]+\.md|\b[\w-]+\.md", repr(module.navigation(DOCS))
    )
    assert len(listed) == len(set(listed))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages == set(listed), "add a link to the README.md of the folder"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 6_000


def test_anchors_are_githubs() -> None:
    page = "# A `b` & c\n\n## 7. The corpus, programs\n\n## Same\n\n## Same\n\n```text\n# no\n```\n"
    assert anchors(page) == {"a-b--c", "7-the-corpus-programs", "same", "same-1"}
    assert [link.target for link in links("[a](b.md#c) `[d](e.md)` ![f](g.svg)")] == [
        "b.md#c",
        "g.svg",
    ]
