"""GEAN over a program's graph in numpy, with weights of `gnn.policies.program`.

Graph edge attention network of Liang et al., "Learning Compiler Pass Orders using Coreset and
Normalized Value Prediction", ICML 2023. Messages are summed by a product with a sparse incidence
matrix. 5,000 instructions take about 0.1 s on one core (`deploy/docs/lab-notes.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
_EPSILON = 1e-5  # of the layer norm, as in torch
_GELU = np.float32(np.sqrt(2.0 / np.pi))


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphArrays:
    """Graph of one program as the network reads it; all arrays are int64 but `instruction`."""

    token: np.ndarray  # (N,) vocabulary indices of nodes
    type: np.ndarray  # (N,) vocabulary indices of the types of their values
    instruction: np.ndarray  # (N,) bool
    source: np.ndarray  # (E,)
    target: np.ndarray  # (E,)
    flow: np.ndarray  # (E,)
    position: np.ndarray  # (E,)
    turn: np.ndarray  # (E,) sign of target block minus source block, plus one


class Gean:
    """The network. Raises KeyError on missing weights, ValueError on other shapes."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._w = {name: array.astype(np.float32) for name, array in weights.items()}
        self._layers = len(
            {name.split(".")[1] for name in weights if name.startswith("layers.")}
        )
        self.words, self.width = self._w["node.token.weight"].shape
        self.edge_width = self._w["edge.flow.weight"].shape[1]
        both = 2 * self.width + self.edge_width
        self.heads = (self._w["layers.0.second.weight"].shape[0] - both) // 2
        self.outputs = self._w["head.out.weight"].shape[0]
        for name, shape in {
            "layers.0.first.weight": (both, both),
            "layers.0.second.weight": (both + 2 * self.heads, both),
            "head.hidden.weight": (self.width, self.width + self.edge_width),
        }.items():
            if (got := self._w[name].shape) != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {got}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(
                f"heads: expected a divisor of the width {self.width}, got {self.heads}"
            )

    def logits(self, graph: GraphArrays) -> Floats:
        """Return (K,) scores of the sequences, larger is better.

        Raises IndexError on vocabulary indices without an embedding.
        """
        w = self._w
        nodes = w["node.token.weight"][graph.token] + w["node.kind.weight"][graph.type]
        edges = (
            w["edge.flow.weight"][graph.flow]
            + w["edge.position.weight"][graph.position]
            + w["edge.turn.weight"][graph.turn]
        )
        # Each edge sends a message to its source and one to its target: 2E messages.
        receiver = np.concatenate([graph.source, graph.target])
        incidence = sparse.csr_matrix(
            (np.ones(len(receiver), np.float32), (receiver, np.arange(len(receiver)))),
            shape=(len(nodes), len(receiver)),
        )
        for layer in range(self._layers):
            nodes, edges = self._layer(
                f"layers.{layer}", nodes, edges, graph, receiver, incidence
            )
        pooled = np.concatenate(
            [_mean(nodes[graph.instruction], self.width), _mean(edges, self.edge_width)]
        )
        hidden = np.maximum(0.0, self._linear("head.hidden", pooled))
        return self._linear("head.out", hidden)

    def _layer(
        self,
        name: str,
        nodes: Floats,
        edges: Floats,
        graph: GraphArrays,
        receiver: np.ndarray,
        incidence: sparse.csr_matrix,
    ) -> tuple[Floats, Floats]:
        """Apply one layer; `gnn.layers.gean.GraphEdgeAttention` has the formulae."""
        d, heads = self.width, self.heads
        x, weight = (
            self._norm(f"{name}.node_norm", nodes),
            self._w[f"{name}.first.weight"],
        )
        # The linear layer on [source ‖ target ‖ edge], with its weight split by columns.
        hidden = (x @ weight[:, :d].T)[graph.source]
        hidden += (x @ weight[:, d : 2 * d].T)[graph.target]
        edge_part = self._norm(f"{name}.edge_norm", edges) @ weight[:, 2 * d :].T
        hidden += edge_part + self._w[f"{name}.first.bias"]
        z = self._linear(f"{name}.second", _gelu(hidden))
        cuts = np.cumsum([heads, heads, d, d])
        score_source, score_target, to_source, to_target, update = np.split(
            z, cuts, axis=1
        )
        score = np.concatenate([score_source, score_target])
        # Softmax per head over the messages of a node, shifted by their maximum.
        largest = np.full((len(nodes), heads), -np.inf, dtype=np.float32)
        np.maximum.at(largest, receiver, score)
        share = np.exp(score - largest[receiver])
        share /= (incidence @ share)[receiver]
        messages = np.concatenate([to_source, to_target])
        message = incidence @ (messages * np.repeat(share, d // heads, axis=1))
        nodes = nodes + _gelu(
            self._linear(f"{name}.node_out", self._norm(f"{name}.message_norm", message))
        )
        edges = edges + _gelu(
            self._linear(f"{name}.edge_out", self._norm(f"{name}.renewal_norm", update))
        )
        return nodes, edges

    def _linear(self, name: str, x: Floats) -> Floats:
        y: Floats = x @ self._w[f"{name}.weight"].T + self._w[f"{name}.bias"]
        return y

    def _norm(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
        y: Floats = scaled * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]
        return y


def _gelu(x: Floats) -> Floats:
    half: Floats = np.float32(0.5) * x
    return half + half * np.tanh(_GELU * (x + np.float32(0.044715) * x * x * x))


def _mean(rows: Floats, width: int) -> Floats:
    """Return the mean of rows; zeros when there is none, as in the torch form."""
    mean: Floats = rows.mean(axis=0) if len(rows) else np.zeros(width, dtype=np.float32)
    return mean
