"""Print the figures of the house: size, shape and language of the code, beside other projects'.

    python deploy/tools/house.py [FOLDER ...] [--list] [--base COMMIT]

Without folders it measures the product packages. `--list` names each place that misses a goal.
The other projects were measured on 28 November 2026 with the same definitions (product code without
tests, snapshots of that day); their figures are constants here.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PRODUCT = ("services", "workers", "search", "cost_models", "solvers", "gnn", "trimtab")
NAMED_TESTS = ("search", "solvers")
VAGUE = {"found", "told", "given", "kept", "said", "asked", "known", "came", "wanted"}
QUESTION = re.compile(r"(What|Which|Who|How|As|Of|Whether|Whatever|Where)\b")
OLD_MESSAGE = re.compile(r"\b(came|comes)\b.*\b(wanted|wants)\b|;\s*wanted\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(kw_only=True)
class Figures:
    """Counts over the files of one measurement."""

    file_lines: list[int] = field(default_factory=list)
    characters: int = 0
    wide_lines: list[str] = field(default_factory=list)
    function_lines: list[int] = field(default_factory=list)
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


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="Figures of the house")
    parser.add_argument("folders", nargs="*", default=PRODUCT)
    parser.add_argument(
        "--list", action="store_true", help="name each place that misses a goal"
    )
    parser.add_argument("--base", help="also judge commit subjects since this commit")
    arguments = parser.parse_args()
    figures = Figures()
    for folder in arguments.folders:
        for path in _sources(Path(folder)):
            _measure(path, figures)
    unnamed = list(_modules_without_test())
    _print_table(figures, unnamed)
    if arguments.base:
        subjects = _git("log", "--format=%s", f"{arguments.base}..HEAD").splitlines()
        over = [subject for subject in subjects if len(subject) > 72]
        print(f"\ncommit subjects over 72 characters: {len(over)} of {len(subjects)}")
    if arguments.list:
        _print_places(figures, unnamed)


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
    figures.characters += sum(map(len, lines))
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


def _print_table(figures: Figures, unnamed: list[str]) -> None:
    functions = max(1, len(figures.function_lines))
    lines = sum(figures.file_lines)
    ordered = sorted(figures.file_lines)
    modules = sum(
        path.name != "__init__.py"
        for package in NAMED_TESTS
        for path in Path(package).rglob("*.py")
    )
    contracts = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]
    over_60 = sum(length > 60 for length in figures.function_lines)
    readme = Path("README.md").stat().st_size
    rows = [
        ("figure", "trimtab", "goal", "PyVRP", "procrastinate", "httpx", "optuna", "diffrax"),
        ("files; kLOC", f"{len(ordered)}; {lines / 1000:.1f}", "",
         "36; 4.0", "46; 8.5", "23; 8.8", "213; 39.6", "63; 16.5"),
        ("lines a file: median / p90 / max",
         f"{statistics.median(ordered):.0f} / {ordered[int(0.9 * len(ordered))]} / {ordered[-1]}",
         "150 / - / 500",
         "51/259/651", "115/381/1042", "248/527/2019", "120/416/1712", "140/685/1543"),
        ("longest function, lines", f"{max(figures.function_lines)}", "80",
         "182", "126", "133", "236", "758"),
        ("functions over 80 lines", f"{len(figures.long)}", "0", "-", "-", "-", "-", "-"),
        ("functions over 60 lines, %", f"{100 * over_60 / functions:.1f}", "",
         "6.9", "2.3", "1.8", "5.0", "6.2"),
        ("most parameters; functions over 8",
         f"{figures.most_parameters}; {len(figures.many_parameters)}", "8; 0",
         "19; 4", "16; 5", "19; 28", "14; 31", "18; 11"),
        ("returns typed, %", f"{100 * figures.typed_returns / functions:.0f}", "100",
         "64", "73", "100", "96", "40"),
        ("public docstrings, %", f"{100 * figures.documented / max(1, figures.public):.0f}", "",
         "70", "35", "54", "30", "34"),
        ("characters a line", f"{figures.characters / max(1, lines):.1f}", "36",
         "30.4", "30.9", "29.4", "37.1", "36.6"),
        ("lines over 100 columns", f"{len(figures.wide_lines)}", "0",
         "0 %", "0.3 %", "0 %", "0.1 %", "0.5 %"),
        ("functions with vague locals, %", f"{100 * len(figures.vague) / functions:.1f}", "2",
         "0", "-", "0.2", "0.3", "4.1"),
        ("docstrings that begin with a question word, %",
         f"{100 * len(figures.question) / max(1, figures.docstrings):.1f}", "1",
         "≤ 1", "≤ 1", "≤ 1", "≤ 1", "≤ 1"),
        ("messages 'X came; wanted Y'", f"{len(figures.old_messages)}", "0",
         "0", "0", "0", "0", "0"),
        ("modules of search and solvers with a test of their name, %",
         f"{100 * (modules - len(unnamed)) / modules:.0f}", "80",
         "53", "77", "65", "-", "16"),
        ("import contracts", f"{len(contracts['contracts'])}", "kept", "0", "0", "0", "0", "0"),
        ("README, bytes", f"{readme}", "6000", "5621", "5037", "4944", "11851", "3185"),
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(
                cell.ljust(width) for cell, width in zip(row, widths, strict=True)
            ).rstrip()
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
    main()
