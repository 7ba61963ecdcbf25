"""Program graphs against the module, and the compact form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.vocabulary import TOKENS, EdgeColumn, Flow, NodeColumn, NodeKind
from tests.solvers.llvm.c_module import written_in_c


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


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    np.arange(10, dtype="<i4").tofile(tmp_path / "nodes")
    np.arange(4, dtype="<i4").tofile(tmp_path / "edges")
    reply = {
        "nodes": {"file": "nodes", "shape": [2, 5]},
        "edges": {"file": "edges", "shape": [1, 4]},
        "vocabulary": "x",
        "native": True,
    }
    graph = ProgramGraph.from_reply(reply, tmp_path)
    assert graph.nodes[1].tolist() == [5, 6, 7, 8, 9]
    reply["edges"] = {"file": "edges", "shape": [2, 4]}
    with pytest.raises(
        ValueError, match=r"edges: expected numbers of shape \(2, 4\), got 4"
    ):
        ProgramGraph.from_reply(reply, tmp_path)
