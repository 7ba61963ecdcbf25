"""Every document that code, tests or pages cite exists, with the heading and the ADR they name."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from search.domains.compile.answer import (
    PROMISE_OF_IMAGE,
    PROMISE_OF_SIZE,
    PROMISE_OF_TIME,
)
from tests.deploy.markdown import DOCS, ROOT, headings

# Documents that the product or a test writes; they are not in the repository.
PRODUCED = frozenset({"report.md", "notes.md", "readme.md"})
SUFFIXES = (".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".c", ".html", ".js")
SKIPPED = (
    "tests/deploy/",
    "tests/e2e/vendor/",
    "services/web/static/vendor/",
    "tests/cases/",
    "tests/changing/",
)

_CITATION = re.compile(
    r"(?P<path>(?<![\w/:.-])(?:[\w.-]+/)*[\w-]+\.md)\b(?![/\w])"
    r"(?:`?\)?,? (?:\"(?P<heading>[^\"]{3,60})\"|section (?P<section>\d+)))?"
)
_ADR = re.compile(r"\bADRs? (?P<number>\d+)\b")
_CODE_FILE = re.compile(
    r"`((?:services|workers|search|cost_models|solvers|gnn|cuda|trimtab|tests|deploy)/[\w/.-]+\.\w+)"
)
_BREAK = re.compile(r"\s*\n[ \t]*(?:#:?[ \t]?|//[ \t]?|\*[ \t]?)?")
_MACHINE = re.compile(r"/work/|shared/(?:specs|design|data|cases)\b|\bspecs/[\w-]+\.md")


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout: the list of files is git's")
    names = [
        name
        for name in listed.split("\0")
        if name.endswith(SUFFIXES) or name == "Makefile"
    ]
    return [
        ROOT / name
        for name in names
        if not name.startswith(SKIPPED) and (ROOT / name).is_file()
    ]


def document(path: str, citing: Path) -> Path | None:
    """Resolve a cited path: from the root in code; from the page or the documentation in pages."""
    places = [ROOT]
    if citing.suffix in (".md", ".html", ".yml"):
        places += [citing.parent, DOCS, DOCS / "guide"]
    return next((place / path for place in places if (place / path).is_file()), None)


def test_cited_documents_exist() -> None:
    faults = []
    for file in tracked():
        name = file.relative_to(ROOT)
        text = _BREAK.sub(" ", file.read_text(encoding="utf-8"))
        for match in _CITATION.finditer(text):
            path = match["path"]
            around = (
                text[match.start() - 1 : match.start()]
                + text[match.end() : match.end() + 1]
            )
            part = "/" not in path and around in ('""', "''")  # of a path built in code
            # test_links.py follows it.
            linked = text[: match.start()].rstrip("./").endswith("](")
            if part or linked or path.lower() in PRODUCED:
                continue
            if (page := document(path, file)) is None:
                faults.append(
                    f"{name}: expected a document of this repository, got {path}"
                )
                continue
            titles = headings(page.read_text(encoding="utf-8"))
            if match["heading"] and match["heading"] not in titles:
                faults.append(f'{name}: {path} has no heading "{match["heading"]}"')
            if match["section"] and not any(
                re.match(rf"{match['section']}\b", title) for title in titles
            ):
                faults.append(f"{name}: {path} has no section {match['section']}")
    assert not faults, "\n".join(sorted(set(faults)))


def test_cited_adrs_exist() -> None:
    numbers = {int(page.name[:4]) for page in (DOCS / "adr").glob("0*.md")}
    faults = [
        f"{file.relative_to(ROOT)}: no ADR {match['number']}"
        for file in tracked()
        for match in _ADR.finditer(file.read_text(encoding="utf-8"))
        if int(match["number"]) not in numbers
    ]
    assert not faults, "\n".join(faults)


def test_files_that_pages_name_exist() -> None:
    faults = [
        f"{file.relative_to(ROOT)}: no such file: {name}"
        for file in tracked()
        if file.suffix == ".md" and file.name != "CHANGELOG.md"
        for name in _CODE_FILE.findall(file.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert not faults, "\n".join(faults)


def test_no_paths_of_one_machine() -> None:
    faults = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for file in tracked()
        for number, line in enumerate(
            file.read_text(encoding="utf-8").splitlines(), start=1
        )
        if _MACHINE.search(line)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("page", "promise"),
    [
        ("compile-results.md", PROMISE_OF_SIZE),
        ("compile-run-time.md", PROMISE_OF_TIME),
        ("compile-images.md", PROMISE_OF_IMAGE),
    ],
)
def test_guides_quote_the_promises(page: str, promise: str) -> None:
    text = (DOCS / "guide" / page).read_text(encoding="utf-8")
    quoted = " ".join(
        line.removeprefix("> ") for line in text.splitlines() if line.startswith(">")
    )
    assert re.sub(r"[`*]", "", quoted) == promise


def test_citations_are_recognised() -> None:
    text = _BREAK.sub(
        " ", '# see deploy/docs/design/ilp.md,\n    # "Root LP" and ilp.md, section 5'
    )
    first, second = _CITATION.finditer(text)
    assert (first["path"], first["heading"]) == ("deploy/docs/design/ilp.md", "Root LP")
    assert (second["path"], second["section"]) == ("ilp.md", "5")
    assert document("ilp.md", ROOT / "search" / "pipeline.py") is None
    assert (
        document("design/ilp.md", DOCS / "architecture.md") == DOCS / "design" / "ilp.md"
    )
