"""Build the navigation of the documentation site from the pages' own indexes (mkdocs hook).

A section lists the pages that its README.md links to, in that order. So a new page needs its line in
the index of its folder and nothing else.
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
_LINK = re.compile(r"\[([^\]]+)\]\(([\w-]+\.md)\)")


def on_config(config: Any) -> Any:
    """Set `nav`."""
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
    """Return a folder's index and the pages it links to, titled as the links are."""
    index = docs / folder / "README.md"
    pages: dict[str, str] = {}
    for title, name in _LINK.findall(index.read_text(encoding="utf-8")):
        if (docs / folder / name).is_file() and name != "README.md":
            pages.setdefault(name, title.replace("`", "").removeprefix("Measured: "))
    entries: list[Any] = [f"{folder}/README.md"]
    entries += [
        {title[:1].upper() + title[1:]: f"{folder}/{name}"} for name, title in pages.items()
    ]
    return entries
