"""Import closure of a kind's check: what a result's verification shares with its search.

Import contracts in pyproject.toml state more, kind by kind; a new kind is covered by this file
without an entry anywhere. Modules that the check names in strings count as well: it may start
them as programs (`python -m solvers.llvm.replay`), which an import contract does not see.
"""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import grimp

PACKAGES = ("trimtab", "services", "workers", "search", "cost_models", "solvers", "gnn")
_OF_THE_KIND = ("domain", "encode", "search", "produce")
_OF_THE_TREE = (
    "search.lns",
    "search.pipeline",
    "search.finish",
    "gnn",
    "cost_models.weights",
    "cost_models.{kind}.nets",
    "workers",
    "services",
)


@dataclass(frozen=True, kw_only=True)
class CheckClosure:
    """Modules of the repository that the check of a kind imports, and those it may start."""

    kind: str
    imported: frozenset[str]
    programs: frozenset[str]

    def shared_with_the_search(self) -> list[str]:
        """Return the imported modules that belong to the search, to encoding or to their nets."""
        package = f"search.domains.{self.kind}"
        forbidden = [
            package,
            *(f"{package}.{name}" for name in _OF_THE_KIND),
            *(name.format(kind=self.kind) for name in _OF_THE_TREE),
        ]
        return sorted(
            module
            for module in self.imported
            if module in forbidden
            or any(module.startswith(f"{name}.") for name in forbidden[1:])
        )


def import_graph() -> grimp.ImportGraph:
    """Return all imports of the repository, also those inside functions."""
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def check_closure(graph: grimp.ImportGraph, kind: str) -> CheckClosure:
    """Follow the imports of `search.domains.<kind>.verify`. Raises AssertionError without one."""
    verify = f"search.domains.{kind}.verify"
    assert verify in graph.modules, (
        f"{verify}: expected the module or package of the check"
    )
    own = {verify, *graph.find_descendants(verify)}
    imported = graph.find_upstream_modules(verify, as_package=True)
    programs = {
        text
        for module in own | imported
        for text in _strings(module)
        if text in graph.modules
    }
    return CheckClosure(
        kind=kind,
        imported=frozenset(imported),
        programs=frozenset(name for name in programs if "." in name),
    )


def _strings(module: str) -> set[str]:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    if not found.origin.endswith(".py"):
        return set()
    return {
        node.value
        for node in ast.walk(ast.parse(Path(found.origin).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
