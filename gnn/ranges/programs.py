"""Relations of a program: control, data and calls; dominators, loops and likeness; functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnn.ranges.control_flow import FlowGraph, dominators, innermost_loops
from gnn.ranges.relations import Builder, Index, Range, Relations, nearest

CONTROL, DATA, CALL = range(3)
OPERANDS = 3  # buckets of operand positions: first, second, later
SUCCESSORS = 2  # buckets of successor positions: first, later


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgramEdges:
    """A program graph in index arrays, as `solvers.llvm.graph` makes it."""

    block: Index
    """(N,) number of the basic block in the module, −1 without"""
    function: Index
    """(N,) number of the function, −1 without"""
    source: Index
    """(E,)"""
    target: Index
    """(E,)"""
    flow: Index
    """(E,) 0 control, 1 data, 2 call; others are left out"""
    position: Index
    """(E,) operand or successor number"""


def program_relations(
    program: ProgramEdges, *, features: NDArray[np.float64] | None = None, k: int = 8
) -> Relations:
    """Return the relations of a program's nodes.

    Short, in both directions: control by first or later successor, data by first, second or later
    operand, calls (twelve relations). Medium: the last instruction of the immediate dominator to
    the first of a block, the head of the innermost loop to the instructions of the loop and back,
    and the k most similar nodes. Long: a virtual node for each function and one for the module.

    Nodes of a block are in program order by their number.

    Args:
        features: (N, F) embeddings of the nodes for likeness; None without.
    """
    nodes = len(program.block)
    builder = Builder(nodes)
    for name, flow, buckets in (
        ("control", CONTROL, SUCCESSORS),
        ("data", DATA, OPERANDS),
        ("call", CALL, 1),
    ):
        bucket = np.minimum(program.position, buckets - 1)
        for number in range(buckets):
            mine = (program.flow == flow) & (bucket == number)
            builder.add_both(
                f"{name} {number}",
                Range.SHORT,
                program.source[mine],
                program.target[mine],
            )
    _add_control_flow(builder, program)
    similar = np.zeros((2, 0), np.int64)
    if features is not None:
        similar = nearest(features, k)
    builder.add("similar", Range.MEDIUM, *similar)
    builder.add_virtual("function", program.function)
    builder.add_virtual("module", np.zeros(nodes))
    return builder.build()


def _add_control_flow(builder: Builder, program: ProgramEdges) -> None:
    """Add the relations of dominators and loops."""
    inside = np.flatnonzero(program.block >= 0)
    blocks = int(program.block.max(initial=-1)) + 1
    first, last = np.full(blocks, -1), np.full(blocks, -1)
    last[program.block[inside]] = inside  # the last one stays
    first[program.block[inside[::-1]]] = inside[::-1]
    control = program.flow == CONTROL
    from_block = program.block[program.source[control]]
    to_block = program.block[program.target[control]]
    crossing = (from_block >= 0) & (to_block >= 0)
    # A jump is an edge from a block's last node to a block's first one: also to its own.
    crossing &= program.source[control] == last[from_block]
    crossing &= program.target[control] == first[to_block]
    pairs = np.unique(np.stack([from_block[crossing], to_block[crossing]]), axis=1)
    graph = FlowGraph(count=blocks, source=pairs[0], target=pairs[1])
    parent = dominators(graph)
    with_parent = np.flatnonzero(parent >= 0)
    builder.add("dominator", Range.MEDIUM, last[parent[with_parent]], first[with_parent])
    head = innermost_loops(graph, parent)
    in_loop = inside[head[program.block[inside]] >= 0]
    heads = first[head[program.block[in_loop]]]
    builder.add_both("loop", Range.MEDIUM, heads, in_loop)
