"""Program graph of a module with types as nodes, and its compact form for the shipped policy.

Nodes are instructions, one variable for each use, constants and types. Edges are control, data,
call and type (ProGraML, Cummins et al., ICML 2021; type nodes as in Liang et al., ICML 2023). Two
bounds keep the graph of a hostile module linear in its size: plain members of a struct are nodes of
their own while composite members are shared, and a call returns from at most 16 exits of a
function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solvers.llvm.vocabulary import VOCABULARY, EdgeColumn, Flow, NodeColumn, NodeKind
from solvers.llvm.walk import walker_for
from solvers.llvm.walk_interface import ModuleHandle, Walker

if TYPE_CHECKING:  # the client alone imports numpy; the engine's server starts without it
    import numpy as np


def graph_of(
    module: ModuleHandle, folder: Path, walker: Walker | None = None
) -> dict[str, Any]:
    """Write `graph-nodes.i32` and `graph-edges.i32` into `folder`; return their names and shapes.

    The files hold rows of little-endian int32. Raises MemoryError, OSError.
    """
    walker = walker or walker_for(module.api.lib)
    walked = walker.graph(module)
    reply: dict[str, Any] = {
        "vocabulary": VOCABULARY,
        "native": walker.native,
        "folder": str(folder),
    }
    for name, rows, columns in (
        ("nodes", walked.nodes, NodeColumn),
        ("edges", walked.edges, EdgeColumn),
    ):
        path = Path(folder) / f"graph-{name}.i32"
        path.write_bytes(rows.tobytes())
        reply[name] = {
            "file": path.name,
            "shape": [len(rows) // len(columns), len(columns)],
        }
    return reply


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgramGraph:
    """Nodes and edges of a program; node 0 is `[external]`, the caller of exported functions.

    The columns are `NodeColumn` and `EdgeColumn` of `solvers.llvm.vocabulary`.
    """

    nodes: np.ndarray  # (N, 5) int32
    edges: np.ndarray  # (E, 4) int32
    vocabulary: str = VOCABULARY  # of the node tokens
    native: bool = True  # walked by the C walker

    @classmethod
    def from_reply(
        cls, reply: Mapping[str, Any], folder: Path | None = None
    ) -> ProgramGraph:
        """Read the files that `graph_of` wrote, from `folder` or else from the folder it named.

        Raises KeyError, OSError, or ValueError when a file's length does not match its shape.
        """
        import numpy as np

        arrays = {}
        for name in ("nodes", "edges"):
            path = Path(folder or reply["folder"]) / Path(reply[name]["file"]).name
            flat, shape = np.fromfile(path, dtype="<i4"), tuple(reply[name]["shape"])
            if flat.size != shape[0] * shape[1]:
                raise ValueError(
                    f"{path.name}: expected numbers of shape {shape}, got {flat.size} numbers"
                )
            arrays[name] = flat.reshape(shape)
        return cls(
            **arrays, vocabulary=str(reply["vocabulary"]), native=bool(reply["native"])
        )

    def compact(self) -> ProgramGraph:
        """Return the graph with types as a column and each variable merged into its instruction.

        About half of the nodes and edges remain. A def-use edge then goes from instruction to
        instruction, at the user's operand position. Idempotent.
        """
        import numpy as np

        nodes, edges = self.nodes.copy(), self.edges
        source, target, flow = (
            edges[:, EdgeColumn.SOURCE],
            edges[:, EdgeColumn.TARGET],
            edges[:, EdgeColumn.FLOW],
        )
        kind = nodes[:, NodeColumn.KIND]
        typed = (flow == Flow.TYPE) & (kind[target] != NodeKind.TYPE)
        nodes[target[typed], NodeColumn.TYPE] = nodes[source[typed], NodeColumn.TOKEN]
        makes = (
            (flow == Flow.DATA)
            & (kind[source] == NodeKind.INSTRUCTION)
            & (kind[target] == NodeKind.VARIABLE)
        )
        into = np.arange(len(nodes), dtype=np.int32)  # the node that each is merged into
        into[target[makes]] = source[makes]
        nodes[source[makes], NodeColumn.TYPE] = nodes[target[makes], NodeColumn.TYPE]
        remains = (into == np.arange(len(nodes))) & (kind != NodeKind.TYPE)
        number = (np.cumsum(remains) - 1).astype(np.int32)
        compact_edges = edges[~makes & (flow != Flow.TYPE)].copy()
        for column in (EdgeColumn.SOURCE, EdgeColumn.TARGET):
            compact_edges[:, column] = number[into[compact_edges[:, column]]]
        return ProgramGraph(
            nodes=nodes[remains],
            edges=compact_edges,
            vocabulary=self.vocabulary,
            native=self.native,
        )
