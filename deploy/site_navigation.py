"""Build the navigation of the documentation site from the pages' own indexes (mkdocs hook).

A section lists the pages that its README.md links to, in that order. So a new page needs its line
in the index of its folder and nothing else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SECTIONS = (
    ("Start here", "start"),
    ("Guides", "guide"),
    ("Reference", "reference"),
    ("Measured", "measured"),
)
INSIDE = ("architecture.md", "job-lifecycle.md", "changing.md")
LAST = ("lab-notes.md", "glossary.md")
_SUBJECT = re.compile(r"\| ([A-Za-z][\w ]*) \| \[")
_LINK = re.compile(r"\[([^\]]+)\]\(([\w-]+\.md)\)")


def on_config(config: Any) -> Any:
    """Set the navigation, and give headings the anchors that GitHub gives them."""
    from pymdownx.slugs import slugify  # of the site's own environment

    config["mdx_configs"]["toc"]["slugify"] = slugify(case="lower")
    config["nav"] = navigation(Path(config["docs_dir"]))
    return config


def navigation(docs: Path) -> list[Any]:
    """Return the navigation as mkdocs.yml would hold it."""
    inside: list[Any] = [*INSIDE, {"Design notes": section(docs, "design")}]
    inside += [{"Decisions": section(docs, "adr")}, *LAST]
    return [
        {"Home": "README.md"},
        *({title: section(docs, folder)} for title, folder in SECTIONS),
        {"Inside": inside},
    ]


def section(docs: Path, folder: str) -> list[Any]:
    """Return a folder's index and the pages it links to, titled as the links are.

    A table row whose first cell is plain text groups the pages of its other cells.
    """
    text = (docs / folder / "README.md").read_text(encoding="utf-8")
    entries: list[Any] = [f"{folder}/README.md"]
    seen = {"README.md"}
    for line in text.splitlines():
        pages = []
        for title, name in _LINK.findall(line):
            if name not in seen and (docs / folder / name).is_file():
                seen.add(name)
                pages.append({page_title(title): f"{folder}/{name}"})
        subject = _SUBJECT.match(line)
        entries += [{page_title(subject[1]): pages}] if pages and subject else pages
    return entries


def page_title(text: str) -> str:
    """Return a link's text as a title."""
    plain = text.replace("`", "").removeprefix("Measured: ")
    return plain[:1].upper() + plain[1:]
