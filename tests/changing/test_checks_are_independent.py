"""The check of every kind imports nothing of its search and encoding, whatever kinds there are."""

from __future__ import annotations

import grimp
import pytest

from search.kinds import KINDS
from tests.contracts.independence import check_closure, import_graph

OFFERED = sorted(kind for kind, row in KINDS.items() if not row.diagnostic)
# Modules that a check starts as programs of their own. Each is described in the docstring of the
# kind's check and in its ADR, because an import contract does not see it.
PROGRAMS = {"compile": {"solvers.llvm.replay"}}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return import_graph()


@pytest.mark.parametrize("kind", OFFERED)
def test_the_check_shares_no_code_with_the_search(
    graph: grimp.ImportGraph, kind: str
) -> None:
    assert check_closure(graph, kind).shared_with_the_search() == []


@pytest.mark.parametrize("kind", OFFERED)
def test_the_check_starts_no_other_programs_of_ours(
    graph: grimp.ImportGraph, kind: str
) -> None:
    assert check_closure(graph, kind).programs == PROGRAMS.get(kind, set())


def test_the_replay_of_compile_uses_the_engine_of_the_search(
    graph: grimp.ImportGraph,
) -> None:
    """The docstring and the method of compile's check say so; both change with this fact."""
    engine = "solvers.llvm.engine"
    assert engine in graph.find_upstream_modules("solvers.llvm.replay")
    search = graph.find_upstream_modules("search.domains.compile.search", as_package=True)
    assert engine in search
    assert engine not in check_closure(graph, "compile").imported


@pytest.mark.parametrize(
    "imported",
    [
        "search.domains.sharding.search.beam",
        "search.domains.sharding.encode.items",
        "search.domains.sharding",
        "search.lns.loop",
        "cost_models.sharding.nets",
        "gnn",
    ],
)
def test_an_indirect_import_of_the_search_is_detected(imported: str) -> None:
    graph = import_graph()
    graph.add_import(importer="cost_models.sharding.fabric", imported=imported)
    assert imported in check_closure(graph, "sharding").shared_with_the_search()


def test_a_kind_without_a_check_of_its_own_is_refused(graph: grimp.ImportGraph) -> None:
    with pytest.raises(AssertionError, match=r"search\.domains\.probe\.verify: expected"):
        check_closure(graph, "probe")
