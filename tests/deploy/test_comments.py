"""Comments stay with the line they explain, and docstrings are prose."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "cost_models",
    "cuda",
    "gnn",
    "search",
    "services",
    "solvers",
    "trimtab",
    "workers/train",
)
# The formatter leaves the comment of a line that it wraps behind the closing bracket, where a
# reader takes it for a comment on that bracket.
DETACHED = re.compile(
    r"^\s*[\])}]+(?: \* \w+)?,?  # (?!fmt: skip|type: ignore)", re.MULTILINE
)
SHAPE_COMMENT = re.compile(r"\S  # ?\(|\.  \(")


def sources() -> list[tuple[str, str]]:
    return [
        (path.relative_to(ROOT).as_posix(), path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def test_no_comment_hangs_behind_a_closing_bracket() -> None:
    assert [name for name, text in sources() if DETACHED.search(text)] == []


def test_no_docstring_ends_in_a_shape_comment() -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    faults = [
        f"{name}: {docstring.splitlines()[0]}"
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented)
        and (docstring := ast.get_docstring(node)) is not None
        and SHAPE_COMMENT.search(docstring)
    ]
    assert faults == []


def test_the_pattern_finds_a_detached_comment() -> None:
    assert DETACHED.search("x = [\n    0\n] * n  # sum of their numbers")
    assert DETACHED.search("    ),  # (G,)")
    assert not DETACHED.search("x = (1, 2)  # (2,)")
    assert not DETACHED.search("    )  # fmt: skip")
