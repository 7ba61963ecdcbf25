"""GEAN over a program's graph in numpy (Liang et al., ICML 2023), with the weights of `gnn.policies.program.GeanProgram`.

A group's sum is a product with a sparse incidence matrix; 5,000 instructions take about 0.1 s on one core (lab notes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
_EPSILON = 1e-5  # torch's, of its layer norm
_GELU = np.float32(np.sqrt(2.0 / np.pi))


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphArrays:
    """One program's graph as the net reads it; all int64 but `instruction`."""

    token: np.ndarray  # (N,) words of nodes
    type: np.ndarray  # (N,) words of the types of their values
    instruction: np.ndarray  # (N,) bool
    source: np.ndarray  # (E,)
    target: np.ndarray  # (E,)
    flow: np.ndarray  # (E,)
    position: np.ndarray  # (E,)
    turn: np.ndarray  # (E,) sign of the block step, plus one


class Gean:
    """The net. Raises KeyError on weights that are not its own, ValueError on other shapes."""

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
        for name, wanted in {
            "layers.0.first.weight": (both, both),
            "layers.0.second.weight": (both + 2 * self.heads, both),
            "head.hidden.weight": (self.width, self.width + self.edge_width),
        }.items():
            if (came := self._w[name].shape) != wanted:
                raise ValueError(f"{name} has shape {came}; wanted {wanted}")
        if self.heads < 1 or self.width % self.heads:
            raise ValueError(
                f"{self.heads} heads came for a width of {self.width}; wanted a divisor of it"
            )

    def logits(self, graph: GraphArrays) -> Floats:
        """(K,) one number a sequence, larger is better. Raises IndexError on words the net has no row for."""
        w = self._w
        nodes = w["node.token.weight"][graph.token] + w["node.kind.weight"][graph.type]
        edges = (
            w["edge.flow.weight"][graph.flow]
            + w["edge.position.weight"][graph.position]
            + w["edge.turn.weight"][graph.turn]
        )
        hearer = np.concatenate([graph.source, graph.target])
        hears = sparse.csr_matrix(
            (np.ones(len(hearer), np.float32), (hearer, np.arange(len(hearer)))),
            shape=(len(nodes), len(hearer)),
        )
        for layer in range(self._layers):
            nodes, edges = self._layer(
                f"layers.{layer}", nodes, edges, graph, hearer, hears
            )
        read = np.concatenate(
            [_mean(nodes[graph.instruction], self.width), _mean(edges, self.edge_width)]
        )
        return self._linear("head.out", np.maximum(0.0, self._linear("head.hidden", read)))

    def _layer(
        self,
        name: str,
        nodes: Floats,
        edges: Floats,
        graph: GraphArrays,
        hearer: np.ndarray,
        hears: sparse.csr_matrix,
    ) -> tuple[Floats, Floats]:
        """As `gnn.layers.gean.GraphEdgeAttention`, whose docstring has the formulae."""
        d, heads = self.width, self.heads
        x, weight = self._norm(f"{name}.node_norm", nodes), self._w[f"{name}.first.weight"]
        hidden = (x @ weight[:, :d].T)[graph.source] + (x @ weight[:, d : 2 * d].T)[
            graph.target
        ]
        hidden += (
            self._norm(f"{name}.edge_norm", edges) @ weight[:, 2 * d :].T
            + self._w[f"{name}.first.bias"]
        )
        z = self._linear(f"{name}.second", _gelu(hidden))
        cuts = np.cumsum([heads, heads, d, d])
        to_source, to_target, said_source, said_target, renewal = np.split(z, cuts, axis=1)
        score = np.concatenate([to_source, to_target])
        top = np.full((len(nodes), heads), -np.inf, dtype=np.float32)
        np.maximum.at(top, hearer, score)
        share = np.exp(score - top[hearer])
        share /= (hears @ share)[hearer]
        message = hears @ (
            np.concatenate([said_source, said_target])
            * np.repeat(share, d // heads, axis=1)
        )
        nodes = nodes + _gelu(
            self._linear(f"{name}.node_out", self._norm(f"{name}.message_norm", message))
        )
        edges = edges + _gelu(
            self._linear(f"{name}.edge_out", self._norm(f"{name}.renewal_norm", renewal))
        )
        return nodes, edges

    def _linear(self, name: str, x: Floats) -> Floats:
        found: Floats = x @ self._w[f"{name}.weight"].T + self._w[f"{name}.bias"]
        return found

    def _norm(self, name: str, x: Floats) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
        found: Floats = scaled * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]
        return found


def _gelu(x: Floats) -> Floats:
    half: Floats = np.float32(0.5) * x
    return half + half * np.tanh(_GELU * (x + np.float32(0.044715) * x * x * x))


def _mean(rows: Floats, width: int) -> Floats:
    """Of no row: zeros, as the torch form has it."""
    found: Floats = rows.mean(axis=0) if len(rows) else np.zeros(width, dtype=np.float32)
    return found
