"""The reference pages are what the code generates."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from search.kinds import KINDS
from tests.deploy.markdown import DOCS, ROOT

TOOL = ROOT / "deploy" / "tools" / "reference.py"


def test_pages_are_current() -> None:
    run = subprocess.run(
        [sys.executable, str(TOOL), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_kind_has_a_page() -> None:
    for name, kind in KINDS.items():
        page = (DOCS / "reference" / f"kind-{name}.md").read_text(encoding="utf-8")
        missing = [
            field for field in kind.spec.model_fields if f"| `{field}` |" not in page
        ]
        assert not missing, f"{name}: {missing}"


def _words() -> Any:
    path = TOOL.with_name("schema_words.py")
    spec = importlib.util.spec_from_file_location("schema_words", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "minLength": 1}, "string, not empty"),
        (
            {"type": "string", "minLength": 1, "maxLength": 200},
            "string, 1 to 200 characters",
        ),
        (
            {"type": "array", "minItems": 17, "maxItems": 17, "items": {}},
            "list, 17 items",
        ),
        (
            {
                "type": "array",
                "maxItems": 10_000,
                "items": {
                    "type": "array",
                    "minItems": 2,
                    "items": {"type": "string", "maxLength": 9},
                },
            },
            "list of lists of strings, at most 10,000 items, "
            "each of at least 2 items, each of at most 9 characters",
        ),
        (
            {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
            "integer, ≥ 0",
        ),
    ],
)
def test_limits_in_words(schema: dict[str, Any], words: str) -> None:
    assert _words().type_and_limits(schema) == words


def test_absent_values_have_one_name() -> None:
    words = _words()
    assert words.default_of({"default": None}, required=False) == "`null`"
    assert words.meaning_of({"description": "None: all."}) == "`null`: all."
