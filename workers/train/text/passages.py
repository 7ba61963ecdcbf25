"""Sections of installed documentation: a heading with its first sentence, and the text after it.

The documentation comes from Debian packages with free licences (`PACKAGES`). They are installed for
training only: `apt-get install --no-install-recommends` and their names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Part = Literal["train", "valid", "test"]

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        # package → folder of its pages
        "postgresql-doc-15": "/usr/share/doc/postgresql-doc-15/html",  # PostgreSQL
        "python3.11-doc": "/usr/share/doc/python3.11/html",  # PSF-2.0
        "sqlite3-doc": "/usr/share/doc/sqlite3",  # public domain
        "apache2-doc": "/usr/share/doc/apache2-doc/manual/en",  # Apache-2.0
    }
)
_LEFT_OUT = re.compile(
    r"genindex|whatsnew|changelog|changes|release-|toc\.html|search\.html|py-modindex"
    r"|keyword_index|doclist|copyright|releaselog|/c3ref/.*list"
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_SKIPPED = frozenset(
    {"pre", "table", "script", "style", "nav", "footer", "head", "dl", "form", "select"}
)
_BLOCKS = frozenset({"p", "li", "dd", "div", "td", "blockquote", "section", "ul", "ol"})
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "area", "wbr"})
_LEAST_WORDS, _MOST_WORDS = 60, 600
_ITEM_WORDS = 32
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_GRAM = 13
_LETTERS_LEAST = 0.9


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of a page, as an outline's item and the passage that it stands for."""

    package: str
    document: str  # page, relative to the package's folder
    item: str  # heading and first sentence
    sentences: tuple[str, ...]  # those after the first

    @property
    def part(self) -> Part:
        """Return the part of the data, the same for all sections of a document."""
        name = f"{self.package}/{self.document}"
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 10
        return "valid" if place == 8 else "test" if place == 9 else "train"


def sections(
    packages: Mapping[str, str] = PACKAGES, *, share: float = 1.0
) -> list[Section]:
    """Return the sections of all installed packages, in a fixed order, without repetitions.

    share: of the documents, chosen by their names.
    """
    seen: set[int] = set()
    chosen = []
    for package, folder in packages.items():
        root = Path(folder)
        for path in sorted(root.rglob("*.html")):
            name = path.relative_to(root).as_posix()
            if _LEFT_OUT.search(name) or path.stat().st_size > 4 << 20:
                continue
            if hash_text(f"{package} {name}") >= share * 2**64:
                continue
            html = path.read_text(encoding="utf-8", errors="replace")
            for heading, text in page_sections(html):
                made = _section(package, name, heading, text)
                if made is not None and _fresh(text, seen):
                    chosen.append(made)
    return chosen


def page_sections(html: str) -> list[tuple[str, str]]:
    """Return the headings of a page, each with the prose that follows it."""
    reader = _Page()
    reader.feed(html)
    reader.close()
    reader.end_block()
    return [(heading, " ".join(blocks)) for heading, blocks in reader.sections]


def sentences(text: str) -> list[str]:
    """Split a text where a stop is followed by white space and a capital."""
    return [part for part in _SENTENCE.split(text.strip()) if part]


def _section(package: str, document: str, heading: str, text: str) -> Section | None:
    words = text.split()
    if not heading or not len(words) >= _LEAST_WORDS:
        return None
    parts = sentences(" ".join(words[:_MOST_WORDS]))
    if len(parts) < 3:
        return None
    first = " ".join(parts[0].split()[:_ITEM_WORDS])
    return Section(
        package=package,
        document=document,
        item=f"{heading}: {first}",
        sentences=tuple(parts[1:]),
    )


def _fresh(text: str, seen: set[int]) -> bool:
    """Return whether most 13-grams of a text are new, and remember them."""
    words = text.split()
    grams = {
        hash_text(" ".join(words[i : i + _GRAM])) for i in range(len(words) - _GRAM + 1)
    }
    old = len(grams & seen)
    seen |= grams
    return 2 * old < len(grams)


def hash_text(text: str) -> int:
    """Return 64 bits of a text's SHA-256: the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class _Page(HTMLParser):
    """Collects prose under headings; code, tables, lists of terms and navigation are skipped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[tuple[str, list[str]]] = [("", [])]
        self._skip: list[str] = []
        self._heading = False
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        if self._skip or tag in _SKIPPED or _navigation(attrs):
            if self._skip or tag not in _BLOCKS - {"div"}:
                self._skip.append(tag)
            return
        if tag in _HEADINGS:
            self.end_block()
            self._heading = True
        elif tag in _BLOCKS:
            self.end_block()

    def handle_endtag(self, tag: str) -> None:
        if self._skip:
            # An end tag may be missing: close up to the one that this tag ends.
            if tag in self._skip:
                while self._skip.pop() != tag:
                    pass
            return
        if tag in _HEADINGS:
            heading = _tidy("".join(self._text))
            self._text.clear()
            self._heading = False
            self.sections.append((heading, []))
        elif tag in _BLOCKS:
            self.end_block()

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self._text.append(data)

    def end_block(self) -> None:
        """Close a block: prose goes to the section at hand."""
        if self._heading:
            return
        text = _tidy("".join(self._text))
        self._text.clear()
        plain = sum(c.isalpha() or c in " .,;'" for c in text)
        if len(text.split()) >= 6 and plain >= _LETTERS_LEAST * len(text):
            self.sections[-1][1].append(text)


def _navigation(attrs: Sequence[tuple[str, str | None]]) -> bool:
    words = {
        word for name, value in attrs if name == "class" for word in (value or "").split()
    }
    return bool(
        words
        & {
            "navheader",
            "navfooter",
            "toc",
            "related",
            "sphinxsidebar",
            "footer",
            "headerlink",
            "menu",
            "fancy_toc",
            "screen",
            "literal-block-wrapper",
        }
    )


def _tidy(text: str) -> str:
    """Return a text with single spaces, without the marks of links and numbers of headings."""
    text = " ".join(text.replace("¶", " ").split())
    return re.sub(
        r"^(?:Chapter |Appendix |Part )?[0-9A-Z]{1,3}(?:\.[0-9]+)*\.\s+", "", text
    )


def documents(found: Sequence[Section]) -> dict[tuple[str, str], list[int]]:
    """Return the numbers of the sections of each document."""
    table: dict[tuple[str, str], list[int]] = {}
    for number, section in enumerate(found):
        table.setdefault((section.package, section.document), []).append(number)
    return table


def digest(found: Sequence[Section]) -> str:
    """Return the SHA-256 of all sections."""
    whole = hashlib.sha256()
    for text in _texts(found):
        whole.update(text.encode() + b"\0")
    return whole.hexdigest()


def _texts(found: Sequence[Section]) -> Iterator[str]:
    for section in found:
        yield from (section.package, section.document, section.item, *section.sentences)
