"""Every list of kinds follows from KINDS and the spec files, or is compared with them here."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import trimtab
from search.kinds import KINDS
from trimtab import specs
from trimtab.specs.by_file import described, file_kinds
from workers.bench.__main__ import suites
from workers.train.__main__ import kinds as trained_kinds

ROOT = Path(__file__).resolve().parents[2]
OFFERED = sorted(kind for kind, row in KINDS.items() if not row.diagnostic)


def test_the_generated_table_is_current() -> None:
    script = ROOT / "deploy/tools/list_specs.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert done.returncode == 0


def test_the_sdk_lists_the_kinds_of_the_server() -> None:
    assert {kind: row.spec_class for kind, row in KINDS.items()} == dict(specs.SPECS)


def test_every_name_is_exported_and_loads() -> None:
    for row in KINDS.values():
        assert getattr(trimtab, row.spec.__name__) is row.spec
        assert getattr(specs, row.spec.__name__) is row.spec
    for name in trimtab.__all__:
        assert getattr(trimtab, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Ilpspec'"):
        trimtab.Ilpspec  # noqa: B018


def test_type_checkers_see_the_same_exports() -> None:
    """mypy --strict refuses a name that a package imports without exporting it."""
    tree = ast.parse((ROOT / "trimtab/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {"__version__"}
    for statement in block.body:
        assert isinstance(statement, ast.ImportFrom)
        if statement.module == "typing":
            continue
        for alias in statement.names:
            if alias.name == "*":
                assert statement.module == "trimtab.specs"
                seen |= set(specs.__all__)
            else:
                assert alias.asname == alias.name, alias.name
                seen.add(alias.name)
    assert seen == set(trimtab.__all__)


def test_suffixes_choose_one_kind_and_name_a_field() -> None:
    rows = file_kinds().values()
    counts = Counter(suffix for _, files in rows for suffix in files.suffixes)
    assert max(counts.values()) == 1
    assert sum(files.fallback for _, files in rows) == 1
    for spec, files in rows:
        assert files.field in spec.model_fields
        assert all(suffix == suffix.lower() for suffix in files.suffixes)
    listed = set(re.findall(r"(?<=\s)\.[a-z.]+", described()))
    assert listed == set(counts)


def test_no_docstring_repeats_the_suffixes() -> None:
    for name in ("aio", "client", "cli/submitting"):
        text = (ROOT / f"trimtab/{name}.py").read_text()
        assert not re.search(r"\.cpp|\.csv", text.replace("--csv", "")), name


@pytest.mark.parametrize("kind", OFFERED)
def test_a_kind_has_a_guide_page_a_bench_suite_and_its_tests(kind: str) -> None:
    guide = ROOT / "deploy/docs/guide"
    assert (guide / f"{kind}.md").is_file()
    assert f"({kind}.md)" in (guide / "README.md").read_text()
    assert kind in suites()
    assert list((ROOT / "tests/search/domains" / kind).rglob("test_*.py"))


def test_only_kinds_and_the_text_model_are_trained() -> None:
    # Kinds that use a language model share the head of `text`.
    assert set(trained_kinds()) <= {*KINDS, "text"}


def test_contracts_and_types_name_kinds_by_a_wildcard() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    config = tomllib.loads(text)
    contracts = config["tool"]["importlinter"]["contracts"]
    (apart,) = (
        row for row in contracts if row["name"] == "kinds of job do not see each other"
    )
    assert apart["modules"] == ["search.domains.*"]
    overrides = config["tool"]["mypy"]["overrides"]
    named = [name for row in overrides for name in row["module"]]
    assert not [name for name in named if re.match(r"search\.domains\.\w", name)]
