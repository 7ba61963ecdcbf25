"""The Python walker against walk.c, and its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.vocabulary import EdgeColumn, Flow
from solvers.llvm.walk_python import MOST_EXITS
from tests.solvers.llvm.c_module import written_in_c
from tests.solvers.llvm.library import on_module
from tests.solvers.llvm.modules import ASSEMBLY, CONSTRUCTOR, PLAIN, PROGRAM

BOTH = """
from solvers.llvm.walk import walker_for
from solvers.llvm.walk_python import PythonWalker
native, python = walker_for(api.lib), PythonWalker(api.lib)
result = {"native": native.native}
for name, walker in (("walk.c", native), ("python", python)):
    walked = walker.graph(module)
    result[name] = {
        "nodes": list(walked.nodes),
        "edges": list(walked.edges),
        "counts": walker.counts(module),
    }
"""


@pytest.mark.parametrize("name", ["program", "constructor", "assembly", "plain", "c"])
def test_c_and_python_walk_alike(name: str, tmp_path: Path) -> None:
    modules = {
        "program": PROGRAM,
        "constructor": CONSTRUCTOR,
        "assembly": ASSEMBLY,
        "plain": PLAIN,
    }
    module = modules.get(name) or written_in_c(tmp_path)
    results = on_module(module, BOTH, tmp_path)
    if not results["native"]:
        pytest.skip("no C compiler here: only one walker")
    assert results["walk.c"]["counts"] == results["python"]["counts"]
    assert results["walk.c"]["nodes"] == results["python"]["nodes"]
    assert results["walk.c"]["edges"] == results["python"]["edges"]
    assert len(results["walk.c"]["nodes"]) > 20


def test_a_call_returns_from_a_bounded_number_of_exits(tmp_path: Path) -> None:
    exits = 2 * MOST_EXITS
    cases = "".join(f"    i32 {i}, label %b{i}\n" for i in range(exits))
    blocks = "".join(f"b{i}:\n  ret i32 {i}\n" for i in range(exits))
    module = (
        f"define i32 @f(i32 %a) {{\n  switch i32 %a, label %b0 [\n{cases}  ]\n{blocks}}}\n"
        "define i32 @g() {\n  %r = call i32 @f(i32 1)\n  ret i32 %r\n}\n"
    )
    results = on_module(module.encode(), BOTH, tmp_path)
    edges = results["python"]["edges"]
    assert edges == results["walk.c"]["edges"]
    calls = [
        edges[i : i + 4]
        for i in range(0, len(edges), 4)
        if edges[i + EdgeColumn.FLOW] == Flow.CALL
    ]
    # Two callers of f: the external node and g.
    into_f = max(
        sum(edge[1] == target for edge in calls) for target in {e[1] for e in calls}
    )
    assert into_f <= 2 * MOST_EXITS
    assert len(calls) == 2 * (1 + MOST_EXITS) + 2
