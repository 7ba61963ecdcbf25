"""`python -m workers.bench tables [--check]`: write deploy/docs/measured from the results.

A suite contributes a page by a module `workers/bench/SUITE/tables.py` with a function `page()`.
Written are one page for each suite with the files that it names, the index README.md, and
headlines.json (one line for each suite, which the README repeats). `--check` writes nothing and
ends with 1 when a file differs from what the results give.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from pathlib import Path

from workers.bench.tables.page import NOTICE, Page, grid, render
from workers.bench.tables.results import MEASURED

HEADLINES = "headlines.json"


def main(argv: list[str]) -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args(argv)
    stale = [file for file, text in contents().items() if _text(file) != text]
    for file in stale:
        if options.check:
            print(
                f"{file}: out of date; run python -m workers.bench tables",
                file=sys.stderr,
            )
        else:
            file.write_text(contents()[file])
            print(file)
    return 1 if stale and options.check else 0


def pages() -> dict[str, Page]:
    """Return the page of each suite that has one."""
    from workers.bench.__main__ import suites

    modules = (f"workers.bench.{suite}.tables" for suite in suites() if suite != "tables")
    return {
        name.split(".")[2]: importlib.import_module(name).page()
        for name in modules
        if importlib.util.find_spec(name.rpartition(".")[0])
        and importlib.util.find_spec(name)
    }


def contents() -> dict[Path, str]:
    """Return the text of every generated file."""
    by_suite = pages()
    texts = {MEASURED / f"{suite}.md": render(page) for suite, page in by_suite.items()}
    for page in by_suite.values():
        texts |= page.files
    texts[MEASURED / "README.md"] = _index(by_suite)
    texts[MEASURED / HEADLINES] = _headlines(by_suite)
    return texts


def _index(by_suite: dict[str, Page]) -> str:
    rows = [
        (f"[{page.title}]({suite}.md)", page.headline.against, page.headline.better)
        for suite, page in by_suite.items()
    ]
    return "\n\n".join(
        [
            NOTICE,
            "# Measured figures",
            "Every table is generated from the JSON lines in [results](results/) by\n"
            "`python -m workers.bench tables`, and is listed with its command, machine, seed and\n"
            "date. [Figures of the code](code.md), beside other projects, come from\n"
            "`python deploy/tools/house.py --write`.",
            grid(("page", "compared with", "result"), rows) + "\n",
        ]
    )


def _headlines(by_suite: dict[str, Page]) -> str:
    lines = {
        suite: {
            "against": page.headline.against,
            "better": page.headline.better,
            "page": f"deploy/docs/measured/{suite}.md",
        }
        for suite, page in by_suite.items()
    }
    return json.dumps(lines, indent=2, ensure_ascii=False) + "\n"


def _text(file: Path) -> str | None:
    return file.read_text() if file.is_file() else None
