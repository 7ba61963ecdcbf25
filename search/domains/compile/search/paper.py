"""Paper mode: pass sequences of a coreset, ordered by GEAN, 45 passes per program.

Liang et al., "Learning Compiler Pass Orders using Coreset and Normalized Value Prediction",
ICML 2023, on the installed LLVM. Every prefix of a sequence is a candidate, and each sequence
starts from the unoptimised program. -Oz stays a candidate too: on LLVM 22 sequences of flat
passes seldom beat it, and then it is the answer. The objective is IR instructions. See
`deploy/docs/design/compile.md`, "Paper mode".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cost_models.compile.gean import Gean, GraphArrays
from cost_models.weights import FOLDER, load_weights, manifest, read_learned
from cost_models.weights import digest as weights_digest
from search.domains.compile.search.candidates import passes_of
from search.domains.compile.search.state import SearchState, Trials
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.pipeline import leaves, parse
from solvers.llvm.types import Measured, Recipe
from solvers.llvm.vocabulary import TOKENS, EdgeColumn, NodeColumn, NodeKind
from trimtab.specs.compile import Tier

# Per program, as in the paper; the job's budget of evaluations counts passes here.
PASSES = 45
SEQUENCES, POLICY = "compile-paper-sequences", "compile-paper-policy"
MOST_INSTRUCTIONS = 20_000  # ten times the largest program the network was trained on
# Excluded in every tier, as in product mode: it miscompiled the most programs of the audit.
_MISCOMPILES = ("attributor",)
_OWN_ORDER = "greedy order of the coreset of sequences"
_LAST_POSITION = 31  # of an operand; larger positions share its embedding
Sequences = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class RollOut:
    """Outcome of a roll-out; `table` has the prefixes that would have been the best, measured."""

    table: tuple[tuple[str, Measured], ...]
    sequences: int
    passes: int


@dataclass(frozen=True, kw_only=True)
class SequenceOrder:
    """Order in which the published sequences are tried."""

    order: Sequence[int]
    policy: str  # how they were ordered
    files: Sequence[str]  # published files that were used


def search_paper(state: SearchState) -> Trials:
    """Search in paper mode, which is deterministic."""
    sequences, oz = load_sequences(), state.prepared.levels["Oz"]
    assert oz.sizes is not None
    ordered = order_sequences(state.prepared.engine, sequences)
    evaluations = state.evaluations_left
    rolled = roll_out(
        state.prepared.engine,
        allowed(sequences, state.prepared.pipelines, state.problem.spec.tier),
        ordered.order,
        least=oz.sizes.ir_instructions,
        passes=PASSES if evaluations is None else evaluations,
        offer=state.incumbents.offer,
        stopped=state.over,
        spend=state.spend,
    )
    return Trials(
        table=rolled.table,
        count=rolled.sequences,
        policy=f"{ordered.policy}; {rolled.passes} passes",
        weights={name: weights_digest(name) for name in ordered.files},
    )


def load_sequences(folder: Path = FOLDER) -> Sequences:
    """Load the published coreset in greedy order.

    Raises WeightsRefused when the file is not the one of its manifest row.
    """
    document = json.loads(read_learned(f"{SEQUENCES}.json", folder=folder))
    return tuple(tuple(map(str, passes)) for passes in document["sequences"])


def allowed(sequences: Sequences, defaults: Mapping[str, str], tier: Tier) -> Sequences:
    """Remove the passes that the tier excludes; a sequence may become empty.

    Experimental: those that miscompile. Default: those that are in none of LLVM's default
    pipelines.
    """
    in_defaults = passes_of(defaults)

    def may_run(name: str) -> bool:
        return name in in_defaults if tier is Tier.DEFAULT else name not in _MISCOMPILES

    return tuple(
        tuple(
            text
            for text in passes
            if all(may_run(leaf.name) for leaf in leaves(parse(text)))
        )
        for passes in sequences
    )


def order_sequences(
    engine: Engine, sequences: Sequences, folder: Path = FOLDER
) -> SequenceOrder:
    """Order the published sequences for the engine's program.

    By the network's logits (normalised value prediction) where one is published and fits; else in
    greedy order.
    """

    def own_order(reason: str = "") -> SequenceOrder:
        policy = f"{_OWN_ORDER}: {reason}" if reason else _OWN_ORDER
        return SequenceOrder(
            order=range(len(sequences)), policy=policy, files=[SEQUENCES]
        )

    if POLICY not in manifest(folder):
        return own_order()
    if (count := engine.info.ir_instructions) > MOST_INSTRUCTIONS:
        return own_order(
            f"the program has {count:,} instructions, and the network is used up to "
            f"{MOST_INSTRUCTIONS:,}"
        )
    weights = load_weights(POLICY, folder=folder)
    net = Gean({name: array for name, array in weights.items() if name != "sequences"})
    trained_for = bytes(weights["sequences"].astype(np.uint8))
    if trained_for != digest(sequences) or net.words != len(TOKENS):
        return own_order("the network was trained for others")
    try:
        logits = net.logits(graph_arrays(engine.graph()))
    except CandidateFailed as failed:
        return own_order(f"the program could not be described ({failed})")
    return SequenceOrder(
        order=np.argsort(-logits, kind="stable").tolist(),
        policy="order by GEAN, normalised value prediction",
        files=[SEQUENCES, POLICY],
    )


def digest(sequences: Sequence[Sequence[str]]) -> bytes:
    """Return the sha256 that ties a network to the sequences it scores."""
    rows = [list(passes) for passes in sequences]
    return hashlib.sha256(json.dumps(rows).encode()).digest()


def graph_arrays(graph: ProgramGraph) -> GraphArrays:
    """Convert a program graph to the arrays that the network reads."""
    compact = graph.compact()
    nodes, edges = compact.nodes.astype(np.int64), compact.edges.astype(np.int64)
    source, target = edges[:, EdgeColumn.SOURCE], edges[:, EdgeColumn.TARGET]
    block = nodes[:, NodeColumn.BLOCK]
    return GraphArrays(
        token=nodes[:, NodeColumn.TOKEN],
        type=np.maximum(nodes[:, NodeColumn.TYPE], 0),
        instruction=nodes[:, NodeColumn.KIND] == NodeKind.INSTRUCTION,
        source=source,
        target=target,
        flow=edges[:, EdgeColumn.FLOW],
        position=np.clip(edges[:, EdgeColumn.POSITION], 0, _LAST_POSITION),
        turn=np.sign(block[target] - block[source]) + 1,
    )


def roll_out(
    engine: Engine,
    sequences: Sequences,
    order: Sequence[int],
    *,
    least: int,
    passes: int,
    offer: Callable[[str, Measured], bool],
    stopped: Callable[[], bool],
    spend: Callable[[int], object] = lambda count: None,
) -> RollOut:
    """Run sequences in order until `passes` are spent, and offer the best prefix of each.

    A prefix is offered when it has fewer than `least` instructions: first -Oz's count, then that of
    an accepted prefix. A sequence that crashes LLVM counts with all its passes. `spend` is called
    with numbers of passes.
    """
    table: list[tuple[str, Measured]] = []
    left, tried = passes, 0
    for number in order:
        sequence = sequences[number][:left]
        if left <= 0 or stopped():
            break
        if not sequence:
            continue
        tried += 1
        left -= len(sequence)
        spend(len(sequence))
        try:
            counts = engine.trajectory(sequence, stopped=stopped)
        except CandidateFailed:
            continue
        length = int(np.argmin(counts))
        if counts[length] >= least or length == 0:
            continue
        name, recipe = f"sequence-{number + 1}:{length}", ",".join(sequence[:length])
        for measured in engine.measure([Recipe(pipeline=recipe)], stopped=stopped):
            table.append((name, measured))
            if offer(name, measured) and measured.sizes is not None:
                least = measured.sizes.ir_instructions
    return RollOut(table=tuple(table), sequences=tried, passes=passes - left)
