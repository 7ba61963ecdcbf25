"""Paper mode: flat passes from a coreset of sequences, in the order GEAN gives them, 45 passes in all, for IR instructions.

Liang et al., "Learning Compiler Pass Orders using Coreset and Normalized Value Prediction", ICML 2023, on the installed LLVM.
Every prefix of a sequence is a candidate and each sequence starts from the unoptimised program. -Oz stays a candidate here,
too: on LLVM 22 sequences of flat passes seldom beat it (README), and then it is the answer.
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
from search.domains.compile.search.candidates import passes_of
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.pipeline import leaves, parse
from solvers.llvm.types import Measured, Recipe
from solvers.llvm.vocabulary import TOKENS, EdgeColumn, NodeColumn, NodeKind
from trimtab.specs.compile import Tier

PASSES = 45  # of a program, the paper's; the job's budget of evaluations counts passes here
SEQUENCES, POLICY = "compile-paper-sequences", "compile-paper-policy"
MOST_INSTRUCTIONS = 20_000  # ten times the largest it learned from
_MISCOMPILES = (
    "attributor",
)  # most programs of the audit; in no tier of product mode either
_BLIND = "greedy order of the coreset of sequences"
Sequences = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class RolledOut:
    """What the roll-out did. `table` has the prefixes that would have been the best, measured."""

    table: tuple[tuple[str, Measured], ...]
    sequences: int
    passes: int


def load_sequences(folder: Path = FOLDER) -> Sequences:
    """The published coreset in greedy order. Raises WeightsRefused when the file is not the one of its manifest row."""
    document = json.loads(read_learned(f"{SEQUENCES}.json", folder=folder))
    return tuple(tuple(map(str, passes)) for passes in document["sequences"])


def allowed(sequences: Sequences, defaults: Mapping[str, str], tier: Tier) -> Sequences:
    """Without the attributor; default tier: without all passes that none of LLVM's default pipelines has.

    A sequence may come out empty.
    """
    known = passes_of(defaults)

    def may(name: str) -> bool:
        return name in known if tier is Tier.DEFAULT else name not in _MISCOMPILES

    return tuple(
        tuple(
            text for text in passes if all(may(leaf.name) for leaf in leaves(parse(text)))
        )
        for passes in sequences
    )


def ask(
    engine: Engine, sequences: Sequences, folder: Path = FOLDER
) -> tuple[list[int], str, list[str]]:
    """(order of the published sequences, how it came about, learned files that were used)."""
    blind = list(range(len(sequences)))
    if POLICY not in manifest(folder):
        return blind, _BLIND, [SEQUENCES]
    if (count := engine.info.ir_instructions) > MOST_INSTRUCTIONS:
        why = f"the program has {count:,} instructions, the net is asked up to {MOST_INSTRUCTIONS:,}"
        return blind, f"{_BLIND}: {why}", [SEQUENCES]
    weights = load_weights(POLICY, folder=folder)
    net = Gean({name: array for name, array in weights.items() if name != "sequences"})
    if bytes(weights["sequences"].astype(np.uint8)) != digest(
        sequences
    ) or net.words != len(TOKENS):
        return blind, f"{_BLIND}: the net was trained for others", [SEQUENCES]
    try:
        logits = net.logits(graph_arrays(engine.graph()))
    except CandidateFailed as failed:
        return (
            blind,
            f"{_BLIND}: the program could not be described ({failed})",
            [SEQUENCES],
        )
    return (
        np.argsort(-logits, kind="stable").tolist(),
        "order by GEAN, normalised value prediction",
        [SEQUENCES, POLICY],
    )


def digest(sequences: Sequence[Sequence[str]]) -> bytes:
    """What ties a net to the sequences it scores."""
    return hashlib.sha256(
        json.dumps([list(passes) for passes in sequences]).encode()
    ).digest()


def graph_arrays(graph: ProgramGraph) -> GraphArrays:
    """The compact graph as the net reads it."""
    compact = graph.compact()
    nodes, edges = compact.nodes.astype(np.int64), compact.edges.astype(np.int64)
    source, target, block = (
        edges[:, EdgeColumn.SOURCE],
        edges[:, EdgeColumn.TARGET],
        nodes[:, NodeColumn.BLOCK],
    )
    return GraphArrays(
        token=nodes[:, NodeColumn.TOKEN],
        type=np.maximum(nodes[:, NodeColumn.TYPE], 0),
        instruction=nodes[:, NodeColumn.KIND] == NodeKind.INSTRUCTION,
        source=source,
        target=target,
        flow=edges[:, EdgeColumn.FLOW],
        position=np.clip(edges[:, EdgeColumn.POSITION], 0, 31),
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
) -> RolledOut:
    """Run sequences in order until `passes` are spent; offer the best prefix of each that is below `least` instructions.

    least: what is to be beaten, -Oz's count; an accepted prefix takes its place. A sequence that ends LLVM counts up to there.
    spend: told of passes.
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
        name = f"sequence-{number + 1}:{length}"
        for measured in engine.measure(
            [Recipe(pipeline=",".join(sequence[:length]))], stopped=stopped
        ):
            table.append((name, measured))
            if offer(name, measured) and measured.sizes is not None:
                least = measured.sizes.ir_instructions
    return RolledOut(table=tuple(table), sequences=tried, passes=passes - left)
