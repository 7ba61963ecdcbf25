"""Range builders against plain loops, and their properties on random graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from gnn.ranges.antennas import antenna_relations
from gnn.ranges.control_flow import FlowGraph, dominators, innermost_loops
from gnn.ranges.grids import AROUND, image_relations, position_table, steps
from gnn.ranges.integer_programs import integer_program_relations, shared_rows
from gnn.ranges.programs import ProgramEdges, program_relations
from gnn.ranges.relations import Builder, Range, nearest

networkx = pytest.importorskip("networkx")  # comes with torch


def pairs(edges: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, edges.T.tolist()))


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(AROUND))
@settings(max_examples=40, deadline=None)
def test_steps_on_a_grid(height: int, width: int, step: tuple[int, int]) -> None:
    want = {
        (r * width + c, (r + step[0]) * width + c + step[1])
        for r in range(height)
        for c in range(width)
        if 0 <= r + step[0] < height and 0 <= c + step[1] < width
    }
    assert pairs(np.stack(steps(height, width, step))) == want


def test_an_image_has_four_directions_similar_patches_and_a_virtual_node() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 8))
    image = image_relations(5, 6, features=features, k=3)
    assert (image.nodes, image.virtual) == (31, 1)
    assert [kind.range for kind in image.kinds].count(Range.SHORT) == 4
    assert pairs(image.of("from above")) == {(i, i + 6) for i in range(24)}
    assert pairs(image.of("from image")) == {(30, i) for i in range(30)}
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    places = position_table(5, 6, 8)
    for i in range(30):
        row, column = divmod(i, 6)
        far = {
            j: ((unit[i] - unit[j]) ** 2).sum() - 2 * places[i] @ places[j] / 8
            for j in range(30)
            if max(abs(row - j // 6), abs(column - j % 6)) > 1
        }
        want = set(sorted(far, key=far.__getitem__)[:3])
        similar = image.of("similar")
        assert set(similar[0][similar[1] == i].tolist()) == want
    assert image_relations(5, 6).of("similar").shape == (2, 0)


def test_ranges_can_be_left_out_and_merged() -> None:
    image = image_relations(3, 3)
    short = image.only({Range.SHORT})
    assert len(short.sender) == 24
    assert short.kinds == image.kinds
    merged = image.merged()
    assert len(merged.kinds) == 1
    assert pairs(np.stack([merged.sender, merged.receiver])) == pairs(
        np.stack([image.sender, image.receiver])
    )


def test_nearest_rows_do_not_depend_on_the_chunk() -> None:
    x = np.random.default_rng(1).normal(size=(40, 3))
    assert pairs(nearest(x, 4)) == pairs(nearest(x, 4, chunk=7))
    few = nearest(x[:3], 5)
    assert few.shape == (2, 6)
    assert nearest(x[:0], 2).shape == (2, 0)


def test_relations_out_of_range_are_refused() -> None:
    builder = Builder(3)
    builder.add("x", Range.SHORT, [0, 1], [1, 3])
    with pytest.raises(ValueError, match="receiver: expected numbers from 0 to 2"):
        builder.build()


def test_an_antenna_joins_touching_metal_and_resonant_distances() -> None:
    metal = np.zeros((6, 9), bool)
    metal[2, :] = True
    board = antenna_relations(
        metal, [18], pixel_m=(1e-3, 1e-3), guided_wavelength_m=16e-3, k=2
    )
    assert pairs(board.of("from the left")) == {(18 + i, 19 + i) for i in range(8)}
    assert board.of("from above").shape == (2, 0)
    assert pairs(board.of("quarter wave")) == {
        (18 + i, 18 + j) for i in range(9) for j in range(9) if abs(i - j) == 4
    }
    assert pairs(board.of("half wave")) == {(18, 26), (26, 18)}
    assert pairs(board.of("feed")) == {(18, 18 + i) for i in range(1, 9)}
    assert (9, 18) in pairs(board.of("edge of metal"))
    with pytest.raises(ValueError, match="feeds"):
        antenna_relations(metal, [99], pixel_m=(1e-3, 1e-3), guided_wavelength_m=1.0)
    with pytest.raises(ValueError, match="positive lengths"):
        antenna_relations(metal, [0], pixel_m=(1e-3, 0.0), guided_wavelength_m=1.0)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_an_integer_program_by_sign_and_by_shared_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, variables = int(rng.integers(1, 8)), int(rng.integers(1, 10))
    dense = rng.integers(-1, 2, (rows, variables)).astype(float)
    cost = rng.integers(0, 2, variables).astype(float)
    model = integer_program_relations(sparse.csr_matrix(dense), cost, most=variables)
    entry = {(j, variables + i) for i, j in zip(*np.nonzero(dense > 0), strict=True)}
    assert pairs(model.of("positive entry")) == entry
    assert pairs(model.of("positive entry, back")) == {(b, a) for a, b in entry}
    used = (dense != 0).astype(int)
    together = used.T @ used
    want = {
        (a, b)
        for a in range(variables)
        for b in range(variables)
        if a != b and together[a, b]
    }
    assert pairs(model.of("shared rows")) == want
    best = shared_rows(sparse.csr_matrix(dense), 1)
    for sender, receiver in best.T.tolist():
        others = np.delete(together[receiver], receiver)
        assert together[receiver, sender] == others.max()
    assert model.of("to objective").shape[1] == (cost != 0).sum()


def test_long_rows_make_no_pairs() -> None:
    assert shared_rows(sparse.csr_matrix(np.ones((1, 101))), 3).shape == (2, 0)
    assert shared_rows(sparse.csr_matrix(np.ones((1, 100))), 3).shape == (2, 300)


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_dominators_are_those_of_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    # Block 0 is the only entry; every other block has a jump from a lower one.
    jumps = {(int(rng.integers(0, b)), b) for b in range(1, count)}
    for _ in range(int(rng.integers(0, 2 * count))):
        a, b = int(rng.integers(0, count)), int(rng.integers(0, count))
        if b:
            jumps.add((a, b))
    edges = np.array(sorted(jumps), np.int64).reshape(-1, 2)
    graph = FlowGraph(count=count, source=edges[:, 0], target=edges[:, 1])
    got = dominators(graph)
    other = networkx.DiGraph(sorted(jumps))
    other.add_node(0)
    want = networkx.immediate_dominators(other, 0)
    assert got[0] == -1
    assert all(got[b] == want[b] for b in range(1, count))
    # Removing the head of a loop separates its body from the entry.
    head = innermost_loops(graph, got)
    for block in range(count):
        if head[block] >= 0 and head[block] != block:
            cut = other.copy()
            cut.remove_node(int(head[block]))
            assert head[block] == 0 or block not in networkx.descendants(cut, 0) | {0}
            assert networkx.has_path(other, block, int(head[block]))


def test_loops_nest_and_components_are_separate() -> None:
    # 0 → 1 → 2 → 3 → 2, 3 → 1, 1 → 4; and a function of one block that jumps to itself from 5.
    source = np.array([0, 1, 2, 3, 3, 1, 5, 6])
    target = np.array([1, 2, 3, 2, 1, 4, 6, 6])
    graph = FlowGraph(count=7, source=source, target=target)
    parent = dominators(graph)
    assert parent.tolist() == [-1, 0, 1, 2, 1, -1, 5]
    assert innermost_loops(graph, parent).tolist() == [-1, 1, 2, 2, -1, -1, 6]


def test_a_program_has_buckets_dominators_loops_and_functions() -> None:
    # Blocks 0: nodes 0 1; 1: nodes 2 3 (loops to itself); 2: node 4. Node 5 is a constant.
    control = [(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 2, 1), (3, 4, 0)]
    data = [(5, 2, 0), (0, 3, 1), (2, 4, 7)]
    edges = [(a, b, 0, p) for a, b, p in control] + [(a, b, 1, p) for a, b, p in data]
    source, target, flow, position = np.array(edges).T
    program = program_relations(
        ProgramEdges(
            block=np.array([0, 0, 1, 1, 2, -1]),
            function=np.array([0, 0, 0, 0, 0, -1]),
            source=source,
            target=target,
            flow=flow,
            position=position,
        ),
        features=np.arange(6.0)[:, None],
        k=1,
    )
    assert pairs(program.of("control 1")) == {(3, 2)}
    assert pairs(program.of("data 2, back")) == {(4, 2)}
    assert pairs(program.of("dominator")) == {(1, 2), (3, 4)}
    assert pairs(program.of("loop")) == {(2, 3)}
    assert pairs(program.of("similar")) >= {(1, 0), (4, 5)}
    assert pairs(program.of("to function")) == {(i, 6) for i in range(5)}
    assert program.virtual == 2
    assert sum(kind.range is Range.SHORT for kind in program.kinds) == 12
