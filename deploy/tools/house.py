"""Print figures of the code: size, shape and language, beside those of other projects.

    python deploy/tools/house.py [FOLDER ...] [--list] [--base COMMIT]
    python deploy/tools/house.py --markdown | --write | --check

Without folders it measures the product packages. `--list` names each place that misses a goal.
`--markdown` prints the page deploy/docs/measured/code.md and `--write` writes it. `--check` ends
with 1 if the page has other rows, goals or figures of other projects than this script; it does not
compare the figures of the day, which change with every commit.
The other projects and trimtab at 99a3de9 were measured on 28 November 2026 (product code without
tests, snapshots of that day); their figures are constants here.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import statistics
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path("deploy/docs/measured/code.md")
PRODUCT = (
    "services",
    "workers",
    "search",
    "cost_models",
    "solvers",
    "gnn",
    "cuda",
    "trimtab",
)
ALGORITHMS = ("search", "cost_models", "solvers", "gnn", "cuda")
NAMED_TESTS = ("search", "solvers")
VAGUE = {"found", "told", "given", "kept", "said", "asked", "known", "came", "wanted"}
QUESTION = re.compile(r"(What|Which|Who|How|As|Of|Whether|Whatever|Where)\b")
OLD_MESSAGE = re.compile(r"\b(came|comes)\b.*\b(wanted|wants)\b|;\s*wanted\b")
SOURCE = re.compile(
    r"et al\b|[aA]r[xX]iv|doi\.org|\bDOI\b|\b[A-Z][A-Za-z'-]+,? \(?(?:19|20)\d\d"
)
BRANCHES = (
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler),
    *(ast.IfExp, ast.comprehension, ast.Assert, ast.match_case),
)

Function = ast.FunctionDef | ast.AsyncFunctionDef

PROJECTS = ("PyVRP", "procrastinate", "httpx", "optuna", "diffrax", "TorchRec planner",
            "PyG nn/conv")  # fmt: skip
COLUMNS = ("figure", "28 Nov", "today", "goal", *PROJECTS)
# figure, trimtab at 99a3de9, goal, other projects in the order of PROJECTS
CONSTANTS = [
    ("files; kLOC", "381; 51.3", "",
     "36; 4.0 | 46; 8.5 | 23; 8.8 | 213; 39.6 | 63; 16.5 | 12; 8.1 | 69; 12.6"),
    ("lines a file: median / p90 / max", "113 / 269 / 520", "150 / - / 500",
     "51/259/651 | 115/381/1042 | 248/527/2019 | 120/416/1712 | 140/685/1543 | 610/1147/1739"
     " | 144/311/1035"),
    ("longest function, lines", "144", "80", "182 | 126 | 133 | 236 | 758 | 247 | 143"),
    ("functions over 80 lines", "4", "0", "- | - | - | - | - | - | -"),
    ("functions over 60 lines, %", "0.8", "", "6.9 | 2.3 | 1.8 | 5.0 | 6.2 | 9.7 | 5.3"),
    ("mean complexity, bool operators counted", "3.5", "",
     "2.9 | 2.2 | 2.8 | 3.3 | 2.8 | 4.2 | 3.5"),
    ("ruff C901 / PLR0915 per kLOC", "0.66 / 0.04", "",
     "0.50/0.50 | 0.12/0 | 0.23/0.11 | 0.58/0.13 | 0.55/0.55 | 0.98/0.49 | 1.04/0.56"),
    ("most parameters; functions over 8", "19; 16", "8; 0",
     "19; 4 | 16; 5 | 19; 28 | 14; 31 | 18; 11 | 29; 16 | 15; 13"),
    ("returns typed, %", "100", "100", "64 | 73 | 100 | 96 | 40 | 100 | 63"),
    ("public docstrings, %", "92", "", "70 | 35 | 54 | 30 | 34 | 47 | 34"),
    ("characters a line", "42.9", "36", "30.4 | 30.9 | 29.4 | 37.1 | 33.4 | - | 36.6"),
    ("lines over 100 columns, %", "8.8", "0", "0 | 0.3 | 0 | 0.1 | 0.5 | - | 0"),
    ("functions with vague locals, %", "16.2", "2", "0 | - | 0.2 | 0.3 | 4.1 | - | -"),
    ("docstrings that begin with a question word, %", "16", "1",
     "≤ 1 | ≤ 1 | ≤ 1 | ≤ 1 | ≤ 1 | ≤ 1 | ≤ 1"),
    ("messages 'X came; wanted Y'", "216", "0", "- | - | - | - | - | - | -"),
    ("test lines / code lines; tests", "0.39; 942", "",
     "3.96; 652 | 1.48; 634 | 1.01; 539 | 0.65; 943 | 0.46; 140 | 0.96; 118 | 0.47; 143"),
    ("modules with a test file of their name", "103/335", "",
     "17/32 | 40/52 | 13/20 | - | 9/58 | - | 64/66"),
    ("in search and solvers, with topics, %", "29", "80", "- | - | - | - | - | - | -"),
    ("sources cited per kLOC of algorithms", "2.2", "5", "1.0 | 0 | 0 | 4.5 | 1.6 | 0 | 4.9"),
    ("import contracts", "9", "kept", "0 | 0 | 0 | 0 | 0 | 0 | 0"),
    ("mypy; ruff families", "strict; 15", "",
     "loose; 12 | -; 5 | strict; 5 | untyped_defs; 4 | pyright; 4 | pyre; 0 | untyped_defs; 2"),
    ("README: bytes; table rows", "21063; 72", "6000; -",
     "5621; 0 | 5037; 0 | 4944; 0 | 11851; 7 | 3185; 0 | - | -"),
    ("places a new kind touches", "16", "5", "- | - | - | - | - | - | -"),
    ("places a new LNS arm touches", "10", "3", "- | - | - | - | - | - | -"),
    ("places a new endpoint touches", "8", "3", "- | - | - | - | - | - | -"),
    ("places a new metric touches", "-", "2", "- | - | - | - | - | - | -"),
]  # fmt: skip
NOTES = (
    "Product code is `services workers search cost_models solvers gnn trimtab` without tests and "
    "migrations; of the other projects it is their package without tests, docs, benchmarks and "
    "generated protobuf (of PyVRP, whose core is C++, the Python alone). A function's length is "
    "end − start + 1. Complexity counts if, loops, except, ternary, comprehension, assert, each "
    "extra bool operand and each case. Ruff runs with `--isolated --preview`. Characters and wide "
    "lines are counted over lines that are not blank, characters without indentation. Sources are "
    "*et al*, arXiv, DOI or name and year, in search, cost_models, solvers and gnn. A module's "
    "test is `test_<module>.py`; in search and solvers it may be `test_<module>_<topic>.py`, in "
    "the mirrored folder. Table rows of the README include heads and rules.",
    "Places are those of the [recipes](../changing.md), which tests repeat; a folder is one; files "
    "that `make generate` writes are not counted. The goals of a kind, an arm, an endpoint and a "
    "metric are what the recipes promise. The reading of 28 November also counts changelog, "
    "glossary and README.",
    "Not comparable to the digit: the column of 28 November is an independent reading. By this "
    "script, which leaves out the options of CLI commands and HTTP routes and has shorter word "
    "lists, the same commit has 3 functions over 80 lines, 14 over 8 parameters, 12.4 % with "
    "vague locals, 10.5 % question docstrings and 125 old messages. The 29 % are by this script. "
    "Pairs of duplicate lines (88 on 28 November) and type-ignore comments (59) are not measured "
    "here.",
)


@dataclass(kw_only=True)
class Figures:
    """Counts over the files of one measurement."""

    file_lines: list[int] = field(default_factory=list)
    filled_lines: int = 0
    characters: int = 0
    wide_lines: list[str] = field(default_factory=list)
    function_lines: list[int] = field(default_factory=list)
    complexity: list[int] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    many_parameters: list[str] = field(default_factory=list)
    most_parameters: int = 0
    typed_returns: int = 0
    vague: list[str] = field(default_factory=list)
    public: int = 0
    documented: int = 0
    docstrings: int = 0
    question: list[str] = field(default_factory=list)
    old_messages: list[str] = field(default_factory=list)


def main() -> int:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", default=PRODUCT)
    parser.add_argument(
        "--list", action="store_true", help="name each place that misses a goal"
    )
    parser.add_argument("--base", help="also judge commit subjects since this commit")
    parser.add_argument("--markdown", action="store_true", help="print the page")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}")
    parser.add_argument(
        "--check", action="store_true", help="is the page's frame current?"
    )
    arguments = parser.parse_args()
    if arguments.check:
        return _check()
    figures = Figures()
    for folder in arguments.folders:
        for path in _sources(Path(folder)):
            _measure(path, figures)
    unnamed = list(_modules_without_test())
    today = _today(figures, unnamed, arguments.folders)
    if arguments.write:
        PAGE.write_text(_page(today, _stamp()))
    elif arguments.markdown:
        print(_page(today, _stamp()), end="")
    else:
        _print_table(today)
    if arguments.base:
        subjects = _git("log", "--format=%s", f"{arguments.base}..HEAD").splitlines()
        over = [subject for subject in subjects if len(subject) > 72]
        print(f"\ncommit subjects over 72 characters: {len(over)} of {len(subjects)}")
    if arguments.list:
        _print_places(figures, unnamed)
    return 0


def _sources(folder: Path) -> Iterator[Path]:
    paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
    return (
        path
        for path in paths
        if "migrations" not in path.parts and "build" not in path.parts
    )


def _measure(path: Path, figures: Figures) -> None:
    text = path.read_text()
    lines = text.splitlines()
    figures.file_lines.append(len(lines))
    filled = [line.strip() for line in lines if line.strip()]
    figures.filled_lines += len(filled)
    figures.characters += sum(map(len, filled))
    for number, line in enumerate(lines, 1):
        if len(line) > 100:
            figures.wide_lines.append(f"{path}:{number}")
        if OLD_MESSAGE.search(line):
            figures.old_messages.append(f"{path}:{number}")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function):
            _measure_function(path, node, figures)
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            figures.public += 1
            figures.documented += ast.get_docstring(node) is not None
        if isinstance(node, Function | ast.ClassDef | ast.Module):
            docstring = ast.get_docstring(node)
            if docstring:
                figures.docstrings += 1
                if QUESTION.match(docstring):
                    line_number = getattr(node, "lineno", 1)
                    figures.question.append(
                        f"{path}:{line_number} {docstring.splitlines()[0]}"
                    )


def _measure_function(path: Path, node: Function, figures: Figures) -> None:
    place = f"{path}:{node.lineno} {node.name}"
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    figures.function_lines.append(length)
    if length > 80:
        figures.long.append(f"{place} ({length} lines)")
    figures.complexity.append(_complexity(node))
    figures.typed_returns += node.returns is not None or node.name == "__init__"
    parameters = [
        argument.arg
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.arg not in ("self", "cls")
    ]
    if not _declares_options(node):
        figures.most_parameters = max(figures.most_parameters, len(parameters))
        if len(parameters) > 8:
            figures.many_parameters.append(f"{place} ({len(parameters)} parameters)")
    stored = {
        name.id
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    if stored & VAGUE:
        figures.vague.append(f"{place}: {', '.join(sorted(stored & VAGUE))}")


def _complexity(function: Function) -> int:
    nodes = list(ast.walk(function))
    operands = sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp))
    return 1 + operands + sum(isinstance(node, BRANCHES) for node in nodes)


def _declares_options(node: Function) -> bool:
    """Parameters of CLI commands and HTTP routes declare their options; they are not passed."""
    return "typer." in ast.unparse(node.args) or any(
        re.search(
            r"\.(command|callback|get|post|put|patch|delete)\b", ast.unparse(decorator)
        )
        for decorator in node.decorator_list
    )


def _modules_without_test() -> Iterator[str]:
    """Yield modules of search and solvers without a test file of their name, in their folder."""
    for package in NAMED_TESTS:
        for path in sorted(Path(package).rglob("*.py")):
            if path.name == "__init__.py":
                continue
            folder = Path("tests") / path.parent
            if not list(folder.glob(f"test_{path.stem}.py")) + list(
                folder.glob(f"test_{path.stem}_*.py")
            ):
                yield str(path)


def _today(
    figures: Figures, unnamed: list[str], folders: Sequence[str]
) -> dict[str, str]:
    """Return the figures of the working tree, by the labels of `CONSTANTS`."""
    functions = max(1, len(figures.function_lines))
    lines = sum(figures.file_lines)
    filled = max(1, figures.filled_lines)
    ordered = sorted(figures.file_lines)
    project = tomllib.loads(Path("pyproject.toml").read_text())["tool"]
    over_60 = sum(length > 60 for length in figures.function_lines)
    modules = sum(len(_modules(package)) for package in NAMED_TESTS)
    readme = Path("README.md").read_text()
    values = [
        f"{len(ordered)}; {lines / 1000:.1f}",
        f"{statistics.median(ordered):.0f} / {ordered[int(0.9 * len(ordered))]} / {ordered[-1]}",
        f"{max(figures.function_lines, default=0)}",
        f"{len(figures.long)}",
        f"{100 * over_60 / functions:.1f}",
        f"{statistics.fmean(figures.complexity or [0]):.1f}",
        _ruff_per_kloc(folders, lines),
        f"{figures.most_parameters}; {len(figures.many_parameters)}",
        f"{100 * figures.typed_returns / functions:.0f}",
        f"{100 * figures.documented / max(1, figures.public):.0f}",
        f"{figures.characters / filled:.1f}",
        f"{100 * len(figures.wide_lines) / filled:.2f}",
        f"{100 * len(figures.vague) / functions:.1f}",
        f"{100 * len(figures.question) / max(1, figures.docstrings):.1f}",
        f"{len(figures.old_messages)}",
        _tests(lines),
        _modules_with_test(folders),
        f"{100 * (modules - len(unnamed)) / modules:.0f}",
        f"{_sources_per_kloc():.1f}",
        f"{len(project['importlinter']['contracts'])}",
        f"{'strict' if project['mypy']['strict'] else 'loose'}; "
        f"{len(project['ruff']['lint']['select'])}",
        f"{len(readme.encode())}; {sum(line[:1] == '|' for line in readme.splitlines())}",
        f"{_places_in_recipe('Add a kind of job')}",
        f"{_places_in_recipe('Add an LNS arm')}",
        f"{_places_in_recipe('Add an endpoint')}",
        f"{_places_in_recipe('Add a metric')}",
    ]
    return dict(zip((row[0] for row in CONSTANTS), values, strict=True))


def _ruff_per_kloc(folders: Sequence[str], lines: int) -> str:
    """Count C901 (complexity over 10) and PLR0915 (over 50 statements); `-` without ruff."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent) or shutil.which("ruff")
    if ruff is None:
        return "-"
    options = ("--isolated", "--preview", "--exit-zero", "--output-format", "json")
    counts = []
    for rule in ("C901", "PLR0915"):
        command = [ruff, "check", *options, "--select", rule, *folders]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        counts.append(len(json.loads(run.stdout)))
    return " / ".join(f"{1000 * count / max(1, lines):.2f}" for count in counts)


def _tests(lines: int) -> str:
    texts = [path.read_text() for path in Path("tests").rglob("*.py")]
    tests = sum(
        isinstance(node, Function) and node.name.startswith("test")
        for text in texts
        for node in ast.walk(ast.parse(text))
    )
    test_lines = sum(len(text.splitlines()) for text in texts)
    return f"{test_lines / max(1, lines):.2f}; {tests}"


def _modules(folder: str) -> list[Path]:
    return [path for path in _sources(Path(folder)) if path.name != "__init__.py"]


def _modules_with_test(folders: Sequence[str]) -> str:
    names = {path.name for path in Path("tests").rglob("test_*.py")}
    modules = [module for folder in folders for module in _modules(folder)]
    return (
        f"{sum(f'test_{module.stem}.py' in names for module in modules)}/{len(modules)}"
    )


def _sources_per_kloc() -> float:
    lines = [
        line
        for package in ALGORITHMS
        for path in Path(package).rglob("*.py")
        for line in path.read_text().splitlines()
    ]
    cited = sum(len(SOURCE.findall(line)) for line in lines if "opyright" not in line)
    return 1000 * cited / len(lines)


def _places_in_recipe(title: str) -> int:
    """Count the rows of the first table below a heading of deploy/docs/changing.md."""
    _, _, recipe = (
        Path("deploy/docs/changing.md").read_text().partition(f"\n## {title}\n")
    )
    table = re.search(r"\|---\|---\|\n((?:\|.*\n)+)", recipe)
    if table is None:
        raise ValueError(
            f"deploy/docs/changing.md: expected a table below {title!r}, got none"
        )
    return len(table[1].splitlines())


def _rows(today: dict[str, str]) -> list[tuple[str, ...]]:
    return [
        COLUMNS,
        *(
            (label, before, today[label], goal, *others.split(" | "))
            for label, before, goal, others in CONSTANTS
        ),
    ]


def _print_table(today: dict[str, str]) -> None:
    rows = _rows(today)
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _stamp() -> str:
    """Return the date and the commit of a measurement."""
    changed = " with uncommitted changes" if _git("status", "--porcelain", "*.py") else ""
    commit = _git("rev-parse", "--short=8", "HEAD").strip()
    return f"{datetime.now(UTC).date()} at commit {commit}{changed}"


def _page(today: dict[str, str], stamp: str) -> str:
    """Return the Markdown page."""
    head, *rows = _rows(today)
    table = [head, ("---",) * len(COLUMNS), *rows]
    parts = [
        "<!-- Generated by `python deploy/tools/house.py --write`; do not edit. -->",
        "# Measured: the code",
        "Size, shape and language of trimtab's code, beside those of other projects.",
        "\n".join(f"| {' | '.join(row)} |" for row in table),
        *NOTES,
        "```bash\npython deploy/tools/house.py --write\n```",
        f"Measured on {stamp}; the column *28 Nov* at 99a3de9, the "
        "other projects on 2026-11-28.",
    ]
    return (
        "\n\n".join(
            part
            if part[:1] in "<#|`"
            else textwrap.fill(part, 100, break_on_hyphens=False)
            for part in parts
        )
        + "\n"
    )


def _check() -> int:
    """Compare the page without today's figures, date and commit."""
    blank = {row[0]: "" for row in CONSTANTS}
    page = PAGE.read_text() if PAGE.is_file() else ""
    if not re.search(
        r"^Measured on \d{4}-\d\d-\d\d at commit\s[0-9a-f]{7,}", page, re.M
    ) or (_frame(page) != _frame(_page(blank, ""))):
        print(
            f"{PAGE}: out of date; run python deploy/tools/house.py --write",
            file=sys.stderr,
        )
        return 1
    return 0


def _frame(page: str) -> str:
    """Return the page without what a commit changes."""
    table, _, _ = page.partition("\nMeasured on ")
    lines = [line.split(" | ") for line in table.splitlines()]
    return "\n".join(
        " | ".join(cell for column, cell in enumerate(cells) if column != 2)
        for cells in lines
    )


def _print_places(figures: Figures, unnamed: list[str]) -> None:
    for title, places in (
        ("functions over 80 lines", figures.long),
        ("functions over 8 parameters", figures.many_parameters),
        ("vague locals", figures.vague),
        ("docstrings that begin with a question word", figures.question),
        ("old messages", figures.old_messages),
        ("lines over 100 columns", figures.wide_lines),
        ("modules without a test of their name", unnamed),
    ):
        print(f"\n{title}: {len(places)}")
        for place in places:
            print(f"  {place}")


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
