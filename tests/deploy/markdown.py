"""Parts of a Markdown page that tests check: headings, anchors and links."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "deploy" / "docs"

_FENCE = re.compile(
    r"^(?P<fence>`{3,})[^\n]*\n.*?^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#{1,6}[ \t]+(?P<text>.+?)[ \t]*#*$", re.MULTILINE)
_LINK = re.compile(
    r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+(?:\([^)]*\))?)[^)]*\)"
)
_IMAGE_TAG = re.compile(r"<(?:img|source)[^>]*?(?:src|srcset)=\"(?P<target>[^\"]+)\"")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link of a page and its line."""

    target: str
    line: int


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


def prose(text: str) -> str:
    """Return the page without code blocks and comments, line numbers unchanged."""
    return _COMMENT.sub(_blank, _FENCE.sub(_blank, text))


def headings(text: str) -> list[str]:
    """Return the headings' texts without marks and link targets."""
    texts = (match["text"] for match in _HEADING.finditer(prose(text)))
    return [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "") for text in texts
    ]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    seen: Counter[str] = Counter()
    names = set()
    for heading in headings(text):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return names


def links(text: str) -> list[Link]:
    """Return all links and images of a page, code spans left out."""
    cleaned = _CODE.sub(lambda match: " " * len(match.group()), prose(text))
    return [
        Link(target=match["target"], line=cleaned.count("\n", 0, match.start()) + 1)
        for pattern in (_LINK, _IMAGE_TAG)
        for match in pattern.finditer(cleaned)
    ]


def pages() -> list[Path]:
    """Return the Markdown pages that readers meet."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*top, ROOT / "trimtab" / "README.md", *sorted(DOCS.rglob("*.md"))]
