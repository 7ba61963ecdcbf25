"""Nets that score the pipelines of a coreset for a program: Autophase MLP, GEAN, relational.

In torch, for training. `cost_models.compile.gean` evaluates the weights of `GeanProgram` in numpy,
for serving. It reads them by torch's parameter names (`node.*`, `edge.*`, `layers.<i>.*`,
`head.*`), as `arrays` writes them; `tests/cost_models/compile/test_gean.py` checks that both give
the same logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gnn.layers.encoders import Encoder, relational_block
from gnn.layers.gean import GraphEdgeAttention
from gnn.layers.readout import mean_of_instructions_and_edges

FLOWS, POSITIONS, TURNS = 4, 32, 3
INITIAL_SPREAD = 0.02  # of a truncated normal; biases are zero (Liang et al., 2023)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgramBatch:
    """Graphs of several programs side by side, and their feature vectors."""

    features: Tensor  # (B, F) float
    token: Tensor  # (N,) words of nodes
    type: Tensor  # (N,) words of the types of their values
    instruction: Tensor  # (N,) bool
    source: Tensor  # (E,)
    target: Tensor  # (E,)
    flow: Tensor  # (E,) in [0, FLOWS)
    position: Tensor  # (E,) in [0, POSITIONS)
    turn: Tensor  # (E,) sign of the block step, plus one
    relation: Tensor  # (E,) in [0, R/2): the class of flow and position
    graph: Tensor  # (N,) number of the program
    edge_graph: Tensor  # (E,)

    @classmethod
    def join(cls, parts: Sequence[ProgramBatch]) -> ProgramBatch:
        """Return one batch; node numbers and graph numbers are shifted."""
        nodes = np.cumsum([0] + [len(part.token) for part in parts[:-1]])
        graphs = np.cumsum([0] + [len(part.features) for part in parts[:-1]])
        moved = {"source": nodes, "target": nodes, "graph": graphs, "edge_graph": graphs}

        def joined(name: str) -> Tensor:
            shift = moved.get(name, [0] * len(parts))
            return torch.cat(
                [
                    getattr(part, name) + int(by) if by else getattr(part, name)
                    for part, by in zip(parts, shift, strict=True)
                ]
            )

        return cls(**{name: joined(name) for name in cls.__dataclass_fields__})


class Head(nn.Module):
    """Linear → ReLU → Linear. Shapes: (B, inner) → (B, outputs)."""

    def __init__(self, inner: int, width: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(inner, width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.out(torch.relu(self.hidden(x)))


class AutophaseMlp(nn.Module):
    """The baseline of Liang et al. (2023): features → Linear → ReLU → head; 256 wide there."""

    def __init__(self, features: int, outputs: int, *, width: int = 256) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.head = Head(width, width, outputs)

    def forward(self, batch: ProgramBatch) -> Tensor:
        """Return logits, (B, outputs)."""
        return self.head(torch.relu(self.first(batch.features)))


class NodeEmbedding(nn.Module):
    """The word of a node plus the word of its value's type.

    Compact graphs hold types this way; other graphs have UNKNOWN for the type.
    """

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.token, self.kind = nn.Embedding(words, width), nn.Embedding(words, width)

    def forward(self, batch: ProgramBatch) -> Tensor:
        """Return node states, (N, width)."""
        return self.token(batch.token) + self.kind(batch.type)


class EdgeEmbedding(nn.Module):
    """Embeddings of flow, position and turn, added up (Liang et al., 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.flow, self.position = (
            nn.Embedding(FLOWS, width),
            nn.Embedding(POSITIONS, width),
        )
        self.turn = nn.Embedding(TURNS, width)

    def forward(self, batch: ProgramBatch) -> Tensor:
        """Return edge states, (E, width)."""
        return (
            self.flow(batch.flow) + self.position(batch.position) + self.turn(batch.turn)
        )


class GeanProgram(nn.Module):
    """GEAN over the graph of a program. Defaults are the paper's sizes (5.9 M parameters)."""

    def __init__(
        self,
        words: int,
        outputs: int,
        *,
        width: int = 256,
        edge_width: int = 64,
        heads: int = 4,
        layers: int = 8,
    ) -> None:
        super().__init__()
        self.node, self.edge = NodeEmbedding(words, width), EdgeEmbedding(edge_width)
        self.layers = nn.ModuleList(
            GraphEdgeAttention(width, edge_width, heads) for _ in range(layers)
        )
        self.head = Head(width + edge_width, width, outputs)
        initialise(self)

    def forward(self, batch: ProgramBatch) -> Tensor:
        """Return logits, (B, outputs)."""
        nodes, edges = self.node(batch), self.edge(batch)
        for layer in self.layers:
            nodes, edges = layer(nodes, edges, batch.source, batch.target)
        read = mean_of_instructions_and_edges(
            nodes,
            edges,
            batch.instruction,
            batch.graph,
            batch.edge_graph,
            len(batch.features),
        )
        return self.head(read)


class GrmpProgram(nn.Module):
    """GRMP, or another relational encoder, over the graph of a program.

    Every edge carries messages in both directions, as two relations; `relations` counts both.
    """

    def __init__(
        self,
        words: int,
        outputs: int,
        *,
        relations: int,
        width: int = 64,
        layers: int = 4,
        expansion: int = 4,
        encoder: Encoder | str = Encoder.GRMP,
    ) -> None:
        super().__init__()
        if relations % 2:
            raise ValueError(
                "relations: expected an even number (each has two directions), "
                f"got {relations}"
            )
        self.one_way = relations // 2
        self.node = NodeEmbedding(words, width)
        self.layers = nn.ModuleList(
            relational_block(encoder, width, relations, expansion=expansion)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = Head(width, width, outputs)
        initialise(self)

    def forward(self, batch: ProgramBatch) -> Tensor:
        """Return logits, (B, outputs)."""
        sender, receiver = (
            torch.cat([batch.source, batch.target]),
            torch.cat([batch.target, batch.source]),
        )
        relation = torch.cat([batch.relation, batch.relation + self.one_way])
        x = self.node(batch)
        for layer in self.layers:
            x = layer(x, sender, receiver, relation)
        read = mean_of_instructions_and_edges(
            self.norm(x),
            None,
            batch.instruction,
            batch.graph,
            batch.edge_graph,
            len(batch.features),
        )
        return self.head(read)


def initialise(net: nn.Module) -> None:
    """Draw maps and tables from a truncated normal of spread 0.02; set biases to zero."""
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.trunc_normal_(module.weight, std=INITIAL_SPREAD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
