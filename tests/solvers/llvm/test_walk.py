"""Both walkers say the same of a module, and what they say is what the module has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvers.llvm import install
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Target
from solvers.llvm.vocabulary import TOKENS, EdgeColumn, Flow, NodeColumn, NodeKind
from tests.solvers.llvm.modules import ASSEMBLY, CONSTRUCTOR, PLAIN, PROGRAM

# libLLVM is loaded into a process of its own, as the engine does.
BOTH = """
import json, sys
from solvers.llvm.capi import CApi
from solvers.llvm.module import Session
from solvers.llvm.walk import walker_for
from solvers.llvm.walk_python import PythonWalker
api = CApi(sys.argv[1])
session = Session(api, triple="x86_64-unknown-linux-gnu", cpu="x86-64", features="", pic=True)
module = session.parse(open(sys.argv[2], "rb").read())
native, python = walker_for(api.lib), PythonWalker(api.lib)
told = {"native": native.native}
for name, walker in (("one", native), ("other", python)):
    walked = walker.graph(module)
    told[name] = {"nodes": list(walked.nodes), "edges": list(walked.edges), "counts": walker.counts(module)}
print(json.dumps(told))
"""
SWITCHES = r"""
struct pair { int a; struct pair *next; double weights[3]; };
int kind(int c) { switch (c) { case 1: return 7; case 2: return 9; case 40: return c * 3; default: return -c; } }
double walk(struct pair *p) { double s = 0; for (; p; p = p->next) s += p->weights[p->a % 3] * (float)p->a; return s; }
int twice(int (*f)(int), int x) { return f(f(x)) + kind(x); }
unsigned long long wide(unsigned __int128 v) { return (unsigned long long)(v >> 64) ^ (unsigned long long)v; }
"""


def both(module: bytes, folder: Path) -> dict[str, Any]:
    path = folder / "module.bin"
    path.write_bytes(module)
    command = [sys.executable, "-c", BOTH, str(install.find_llvm().library), str(path)]
    with (folder / "said").open(
        "w+"
    ) as said:  # a file, because the session reads back what LLVM writes there
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            check=False,
            timeout=120,
        )
        said.seek(0)
        assert done.returncode == 0, said.read()
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def written_in_c(folder: Path) -> bytes:
    (folder / "switches.c").write_text(SWITCHES)
    return compile_to_bitcode([folder / "switches.c"], workdir=folder, target=Target())[0]


@pytest.mark.parametrize("name", ["program", "constructor", "assembly", "plain", "c"])
def test_c_and_python_walk_alike(name: str, tmp_path: Path) -> None:
    modules = {
        "program": PROGRAM,
        "constructor": CONSTRUCTOR,
        "assembly": ASSEMBLY,
        "plain": PLAIN,
    }
    told = both(modules.get(name) or written_in_c(tmp_path), tmp_path)
    if not told["native"]:
        pytest.skip("no C compiler here: there is one walker only")
    assert told["one"]["counts"] == told["other"]["counts"]
    assert told["one"]["nodes"] == told["other"]["nodes"]
    assert told["one"]["edges"] == told["other"]["edges"]
    assert len(told["one"]["nodes"]) > 20


def test_the_graph_matches_the_module(tmp_path: Path) -> None:
    with Engine(written_in_c(tmp_path)) as engine:
        graph, features, count = (
            engine.graph(),
            engine.features(),
            engine.info.ir_instructions,
        )
    kind, token = graph.nodes[:, NodeColumn.KIND], graph.nodes[:, NodeColumn.TOKEN]
    source, target = graph.edges[:, EdgeColumn.SOURCE], graph.edges[:, EdgeColumn.TARGET]
    outside = {TOKENS.index("[external]"), TOKENS.index("; undefined function")}
    instructions = (kind == NodeKind.INSTRUCTION) & ~np.isin(token, list(outside))
    assert int(instructions.sum()) == count == int(features.inst_count[0])
    assert graph.nodes.min() >= -1
    assert max(int(source.max()), int(target.max())) < len(graph.nodes)
    switch = np.flatnonzero(instructions & (token == TOKENS.index("switch")))
    assert len(switch) == 1
    control = (graph.edges[:, EdgeColumn.FLOW] == Flow.CONTROL) & (source == switch[0])
    assert sorted(graph.edges[control, EdgeColumn.POSITION].tolist()) == [0, 1, 2, 3], (
        "three cases and the default"
    )


def test_the_compact_graph_keeps_the_instructions(tmp_path: Path) -> None:
    with Engine(written_in_c(tmp_path)) as engine:
        whole = engine.graph()
    compact = whole.compact()
    for graph in (whole, compact):
        assert max(
            int(graph.edges[:, column].max())
            for column in (EdgeColumn.SOURCE, EdgeColumn.TARGET)
        ) < len(graph.nodes)
    kinds = [
        int((g.nodes[:, NodeColumn.KIND] == NodeKind.INSTRUCTION).sum())
        for g in (whole, compact)
    ]
    assert kinds[0] == kinds[1]
    assert len(compact.nodes) < len(whole.nodes)
    again = compact.compact()
    assert (again.nodes == compact.nodes).all()
    assert (again.edges == compact.edges).all()
