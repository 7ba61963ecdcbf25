"""Labelled graphs of three domains: programs, antennas and integer programs.

Labels are what the domains' own trainers learn from: shares saved by pipelines, |S11| over
frequency, and sets of variables that improve an incumbent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnn.ranges.antennas import antenna_relations
from gnn.ranges.integer_programs import integer_program_relations
from gnn.ranges.programs import ProgramEdges, program_relations
from gnn.ranges.relations import Relations
from search.domains.compile.search.coreset import load_coreset
from search.lns.constructive import constructive
from search.lns.features import GraphBuilder
from search.lns.sub_mip import Slicer
from solvers.field.board import C0
from solvers.highs import HighsSolver
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Metric, Outcome, Recipe
from solvers.llvm.vocabulary import TOKENS, EdgeColumn, NodeColumn, NodeKind
from solvers.relaxation import Relaxation
from solvers.types import Floats, MilpModel, SolveParams
from workers.bench.encoders.graphs import Graph, Readout, Task
from workers.bench.encoders.papers import Convolutions, Gean, HalfConvolutions
from workers.corpus import integer_programs
from workers.corpus.build import read
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.dataset import read_samples
from workers.train.antenna.figures import decibel
from workers.train.antenna.shards import shard_paths
from workers.train.compile.replay import MeasurementLog, OwnModule, ReplayEngine

Say = Callable[[str], None]
MOST_NODES = 700  # of a compact program graph
PIPELINES = 8  # of the shipped coreset, as labels
HASHED = 32  # features of a node's words
POINTS = 24  # frequencies of an antenna
_SCALE_DB = 10.0
_NEAR_CELLS = 12  # of 144 in which members of a family differ, at most
Mask = NDArray[np.bool_]
Cell = tuple[int, int]
ROWS, COLUMNS = 120, 240  # of a set cover
POSITIVES, NEGATIVES = 5, 20


def programs(corpus: Path, work: Path, *, most: int, say: Say) -> Task:
    """Return programs of the corpus, with the shares that eight pipelines save. Resumes."""
    log = MeasurementLog(work / "programs")
    graphs: list[Graph] = []
    groups: list[str] = []
    kinds: tuple[str, ...] = ()
    rows = sorted(read(corpus), key=lambda r: (int(str(r["ir_instructions"])), r["sha"]))
    for row in rows:
        if len(graphs) == most:
            break
        path = corpus / "modules" / f"{str(row['sha'])[:16]}.bc"
        module = OwnModule(name=str(row["name"]), bitcode=path.read_bytes())
        with ReplayEngine(module, log) as engine:
            graph = engine.engine.graph().compact()
            if len(graph.nodes) > MOST_NODES:
                continue
            target = _saved(engine)
        if target is not None:
            made, kinds = _program(graph, target)
            graphs.append(made)
            groups.append(str(row["package"]))
    say(f"programs: {len(graphs)} of {len(set(groups))} packages")
    if not graphs:
        raise ValueError(
            f"programs: expected modules in {corpus}, got none; run python -m workers.corpus"
        )
    return Task(
        name="programs",
        relations=kinds,
        graphs=tuple(graphs),
        groups=tuple(groups),
        readout=Readout.GRAPH,
        metric="mean squared error of shares saved, in points squared",
        paper=lambda inputs, width: Gean(inputs, width, len(kinds)),
        batch=6,
    )


def _saved(engine: ReplayEngine) -> NDArray[np.float32] | None:
    """Points saved by each pipeline against -Oz, negative where larger; None without -Oz."""
    defaults = engine.default_pipelines()
    (oz,) = engine.measure([Recipe(pipeline=defaults["Oz"])])
    if oz.sizes is None or oz.sizes.of(Metric.LOADABLE_BYTES) == 0:
        return None
    base = oz.sizes.of(Metric.LOADABLE_BYTES)
    points = []
    for candidate in load_coreset()[:PIPELINES]:
        try:
            (measured,) = engine.measure([candidate.recipe(defaults)])
        except BadPipeline:
            return None
        if measured.outcome is not Outcome.OK or measured.sizes is None:
            return None
        points.append(100 * (1 - measured.sizes.of(Metric.LOADABLE_BYTES) / base))
    target: NDArray[np.float32] = np.clip(np.array(points), -20, 20).astype(np.float32)
    return target


def _edges(graph: ProgramGraph) -> ProgramEdges:
    edges = graph.edges.astype(np.int64)
    nodes = graph.nodes.astype(np.int64)
    return ProgramEdges(
        block=nodes[:, NodeColumn.BLOCK],
        function=nodes[:, NodeColumn.FUNCTION],
        source=edges[:, EdgeColumn.SOURCE],
        target=edges[:, EdgeColumn.TARGET],
        flow=edges[:, EdgeColumn.FLOW],
        position=edges[:, EdgeColumn.POSITION],
    )


def _program(
    graph: ProgramGraph, target: NDArray[np.float32]
) -> tuple[Graph, tuple[str, ...]]:
    """Graph of a program, and the names of its relations."""
    words = _hashed_words()
    nodes = graph.nodes.astype(np.int64)
    features = np.concatenate(
        [words[nodes[:, NodeColumn.TOKEN]], words[nodes[:, NodeColumn.TYPE]]], axis=1
    )
    instruction = nodes[:, NodeColumn.KIND] == NodeKind.INSTRUCTION
    relations = program_relations(_edges(graph))
    kinds = tuple(kind.name for kind in relations.kinds)
    return _graph(relations, features, instruction, target), kinds


def _hashed_words() -> NDArray[np.float32]:
    """Random signs for each word of the vocabulary, the same in every run."""
    return np.stack(
        [
            np.random.default_rng(
                list(hashlib.sha256(token.encode()).digest()[:8])
            ).choice([-1.0, 1.0], HASHED // 2)
            for token in TOKENS
        ]
    ).astype(np.float32)


def _graph(
    relations: Relations,
    features: NDArray[np.float32],
    marked: NDArray[np.bool_],
    target: NDArray[np.float32],
    **sets: NDArray[np.float32],
) -> Graph:
    """Graph with zero features at virtual nodes."""
    virtual = relations.virtual
    return Graph(
        x=np.concatenate(
            [features, np.zeros((virtual, features.shape[1]), np.float32)]
        ).astype(np.float32),
        sender=relations.sender,
        receiver=relations.receiver,
        relation=relations.relation,
        marked=np.concatenate([marked, np.zeros(virtual, bool)]),
        target=target,
        real=len(features),
        **sets,
    )


def antennas(work: Path, *, most: int, say: Say) -> Task:
    """Return solved designs of the default board, with |S11| at 24 frequencies.

    work: folder with the coarse shards of `python -m workers.train antenna data`. Raises ValueError
    without any.
    """
    return antennas_with_designs(work, most=most, say=say)[0]


def antennas_with_designs(
    work: Path, *, most: int, say: Say
) -> tuple[Task, list[tuple[Mask, Cell]]]:
    """Return the task of `antennas` with the metal and the feed of each design."""
    paths = shard_paths(work, "coarse")
    if not paths:
        raise ValueError(
            f"antennas: expected coarse shards in {work}, got none; run python -m workers.train "
            f"antenna data --samples 2000 --fine 0 --work {work}"
        )
    samples = read_samples(paths[: -(-most // 400)], None)
    count = min(most, len(samples))
    designs: list[tuple[Mask, Cell]] = []
    graphs = []
    points = np.linspace(0, samples.curves.shape[1] - 1, POINTS).round().astype(int)
    for row in range(count):
        feed = samples.feeds[row, 0].astype(int)
        designs.append((samples.masks[row], (int(feed[0]), int(feed[1]))))
        target = decibel(samples.curves[row])[points] / _SCALE_DB + 0.5
        graphs.append(antenna_graph(*designs[-1], target.astype(np.float32)))
    say(f"antennas: {len(graphs)} designs")
    cells = samples.masks.shape[1]
    kinds = _antenna_relations(*designs[0]).kinds
    task = Task(
        name="antennas",
        relations=tuple(kind.name for kind in kinds),
        graphs=tuple(graphs),
        groups=tuple(_families([mask for mask, _ in designs])),
        readout=Readout.GRAPH,
        metric="mean squared error of |S11|, in (10 dB)²",
        paper=lambda inputs, width: Convolutions(inputs, width, cells),
    )
    return task, designs


def _families(masks: Sequence[Mask]) -> list[str]:
    """Group of each design: designs whose metal differs in few cells are of one family."""
    groups: list[str] = []
    for row, mask in enumerate(masks):
        first = max(0, row - 400)
        near = (
            groups[i]
            for i in range(first, row)
            if int((masks[i] ^ mask).sum()) <= _NEAR_CELLS
        )
        groups.append(next(near, f"family {row}"))
    return groups


def _antenna_relations(mask: Mask, feed: Cell) -> Relations:
    board = DEFAULT.facts
    middle = (board.f_min_hz + board.f_max_hz) / 2
    guided = C0 / middle / np.sqrt(board.eps_r)
    return antenna_relations(
        mask,
        [feed[0] * mask.shape[1] + feed[1]],
        pixel_m=(board.cell_m, board.cell_m),
        guided_wavelength_m=float(guided),
    )


def antenna_graph(mask: Mask, feed: Cell, target: NDArray[np.float32]) -> Graph:
    """Return the graph of a design: metal, feed and place of each pixel."""
    place = np.indices(mask.shape) / (len(mask) - 1) - 0.5
    at_feed = np.zeros(mask.shape)
    at_feed[feed] = 1.0
    features = np.stack([mask, at_feed, *place], axis=-1).reshape(-1, 4)
    return _graph(
        _antenna_relations(mask, feed),
        features.astype(np.float32),
        at_feed.ravel() > 0,
        target,
    )


def models(*, most: int, say: Say) -> Task:
    """Return small set covers at a greedy cover, with the sets of variables to change.

    Positives are the variables in which better covers differ from the greedy one, the optimal cover
    among them; negatives are the best of these sets with half or more of it exchanged at random, as
    in CL-LNS, but not checked by a sub-MIP. Covers are solved to optimality, so that the labels do
    not depend on the machine.
    """
    graphs: list[Graph] = []
    groups: list[str] = []
    kinds: tuple[str, ...] = ()
    seed = 0
    while len(graphs) < most:
        seed += 1
        model = integer_programs.set_cover(ROWS, COLUMNS, seed=seed)
        sets = _labels(model, np.random.default_rng((seed, 7)))
        if sets is None:
            continue
        made, kinds = _state(model, *sets)
        graphs.append(made)
        groups.append(f"set cover {seed}")
    say(f"models: {len(graphs)} set covers")
    return Task(
        name="models",
        relations=kinds,
        graphs=tuple(graphs),
        groups=tuple(groups),
        readout=Readout.NODES,
        metric="contrastive loss of CL-LNS, in nats",
        paper=lambda inputs, width: HalfConvolutions(inputs, width, 4),
        batch=4,
    )


def _labels(
    model: MilpModel, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]] | None:
    """(greedy cover, positives, negatives); None where the greedy cover is optimal."""
    slicer = Slicer(model)
    noisy = replace(model, c=model.c * np.exp(rng.uniform(-1.0, 1.0, model.n)))
    x = constructive(noisy, slicer.by_row, slicer.by_column)
    assert x is not None  # every set cover has a greedy one
    better: list[Floats] = []
    solved = HighsSolver().solve(
        model,
        SolveParams(time_limit_s=600.0, relative_gap=0.0),
        on_incumbent=lambda objective, y: better.append(np.round(y)),
    )
    if solved.x is None:
        return None
    objective = model.objective(x)
    ordered = sorted([np.round(solved.x), *better], key=model.objective)
    good = [y for y in ordered if model.objective(y) < objective - 1e-6][:POSITIVES]
    if not good:
        return None
    positives = np.unique(np.stack([np.abs(y - x) > 0.5 for y in good]), axis=0)
    best = np.abs(good[0] - x) > 0.5
    members, others = np.flatnonzero(best), np.flatnonzero(~best)
    negatives = []
    for share in np.linspace(0.5, 1.0, NEGATIVES):
        count = min(len(others), max(1, round(share * len(members))))
        free = best.copy()
        free[rng.choice(members, size=min(count, len(members)), replace=False)] = False
        free[rng.choice(others, size=count, replace=False)] = True
        negatives.append(free)
    return x, positives, np.stack(negatives)


def _state(
    model: MilpModel,
    x: Floats,
    positives: NDArray[np.bool_],
    negatives: NDArray[np.bool_],
) -> tuple[Graph, tuple[str, ...]]:
    """Graph of a state, and the names of its relations."""
    seen = GraphBuilder(model, Relaxation(model).root()).at([x])
    relations = integer_program_relations(model.matrix, model.c, most=4)
    kinds = tuple(kind.name for kind in relations.kinds)
    width = seen.variables.shape[1] + seen.rows.shape[1] + 1
    features = np.zeros((model.n + len(seen.rows), width), np.float32)
    features[: model.n, : seen.variables.shape[1]] = seen.variables
    features[model.n :, seen.variables.shape[1] : -1] = seen.rows
    features[model.n :, -1] = 1.0
    graph = _graph(
        relations,
        features,
        np.arange(len(features)) < model.n,
        np.zeros(1, np.float32),
        positives=positives.astype(np.float32),
        negatives=negatives.astype(np.float32),
    )
    return graph, kinds
