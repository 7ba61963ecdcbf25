"""The graph attention net of CL-LNS (Huang et al., ICML 2023) in numpy, for serving.

It evaluates the weights that `gnn.policies.neighbourhood.NeighbourhoodPolicy` was trained with.
Both read the arrays of `cl-lns.safetensors` by torch's parameter names; `tests/gnn/policies/
test_neighbourhood_numpy.py` checks that the logits are equal.

| array                                            | shape                   | part              |
|--------------------------------------------------|-------------------------|-------------------|
| `{variable,row,edge}_{mean,std}`                 | (features,)             | normalisation     |
| `{variable,row}.{0,2}.{weight,bias}`             | (64, features), (64, 64)| embedding, 2 maps |
| `edge.0.{weight,bias}`                           | (64, features)          | embedding, 1 map  |
| `{to_rows,to_variables}.attention.{send,edge}.weight`       | (64, 64)     | attention         |
| `{to_rows,to_variables}.attention.score_{send,edge}`        | (8, 8)       | its logits        |
| `{to_rows,to_variables}.out.{0,2}.{weight,bias}` | (64, 128), (64, 64)     | MLP on the result |
| `head.0.{weight,bias}`, `head.2.weight`          | (64, 64), (1, 64)       | logit             |
| `skip.{weight,bias}`, absent in the shipped file | (1, F + R), (1,)        | added to it       |

A file with `skip` and without `head` is a linear policy: no messages are computed. Graphs may have
more variable features than the weights; those were added later, and are left out.

The attention is computed by sparse × dense products. For receiver i, sender j and edge e a head's
logit is att·LeakyReLU([a_i | b_j | e_ij]). LeakyReLU acts on each number separately, so the logit
is a sum r_i + s_j + t_e; r_i is the same for all senders of i and cancels in the softmax:

    Σ_j α_ij b_j  =  Σ_j exp(t_ij) exp(s_j) b_j  /  Σ_j exp(t_ij) exp(s_j)

With one distinct edge row (set cover, independent set, vertex cover, auctions) this is one product
of the pattern with the columns [exp(s)·b | exp(s)] of all heads; with u distinct rows it is u
products; with many it is one product per head with exp(t) for data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from gnn.policies.bipartite_graph import BipartiteGraph

WIDTH = 64
HEADS = 8
HEAD_WIDTH = WIDTH // HEADS
LEAK = 0.2
_FEW = 3  # up to this many distinct edge rows, one product for each

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class NeighbourhoodNet:
    """The trained net. `weights` are the arrays listed above."""

    weights: Weights

    def logits(self, graph: BipartiteGraph) -> np.ndarray:
        """Return (n,) one logit per variable; variables with larger ones are freed first."""
        w = self.weights
        # (n, F)
        own = _normalised(graph.variables[:, : len(w["variable_mean"])], w, "variable")
        of_rows = _normalised(graph.rows, w, "row")
        linear = _skip(own, of_rows, graph.matrix, w)
        if "head.2.weight" not in w:
            return linear
        variables = self._embed("variable", own)
        rows = self._embed("row", of_rows)
        edges, which = _distinct(graph.edges)
        edges = _linear(_normalised(edges, w, "edge"), w, "edge.0")
        rows = self._convolve("to_rows", variables, rows, edges, which, graph.matrix)
        transposed, order = _transposed(graph.matrix, which)
        variables = self._convolve(
            "to_variables", rows, variables, edges, order, transposed
        )
        hidden = np.maximum(0.0, _linear(variables, w, "head.0"))
        logits: np.ndarray = (hidden @ w["head.2.weight"].T)[:, 0] + linear
        return logits

    def _embed(self, name: str, x: np.ndarray) -> np.ndarray:
        w = self.weights
        return np.maximum(
            0.0, _linear(np.maximum(0.0, _linear(x, w, f"{name}.0")), w, f"{name}.2")
        )

    def _convolve(
        self,
        name: str,
        senders: np.ndarray,
        receivers: np.ndarray,
        edges: np.ndarray,
        which: np.ndarray | None,
        pattern: sparse.csr_matrix,
    ) -> np.ndarray:
        w = self.weights
        sent = senders @ w[f"{name}.attention.send.weight"].T  # (J, WIDTH)
        edge = edges @ w[f"{name}.attention.edge.weight"].T  # (u, WIDTH)
        message = attend(
            sent,
            edge,
            which,
            pattern,
            w[f"{name}.attention.score_send"],
            w[f"{name}.attention.score_edge"],
        )
        both = np.concatenate([message, receivers], axis=1)
        return np.maximum(
            0.0,
            _linear(
                np.maximum(0.0, _linear(both, w, f"{name}.out.0")), w, f"{name}.out.2"
            ),
        )


def attend(
    sent: np.ndarray,
    edge: np.ndarray,
    which: np.ndarray | None,
    pattern: sparse.csr_matrix,
    score_send: np.ndarray,
    score_edge: np.ndarray,
) -> np.ndarray:
    """Return (I, WIDTH) attention-weighted means over the senders; 0 for a receiver without any.

    Shapes: sent (J, WIDTH); edge (u, WIDTH) distinct edges; `which` (nnz,) the edge of each stored
    entry of `pattern` (I, J), None when there is only one; scores (HEADS, HEAD_WIDTH).
    """
    # Shape (J, HEADS).
    s = (_leaky(sent).reshape(-1, HEADS, HEAD_WIDTH) * score_send).sum(axis=2)
    # Shape (u, HEADS).
    t = (_leaky(edge).reshape(-1, HEADS, HEAD_WIDTH) * score_edge).sum(axis=2)
    # The largest of each head becomes 1, so nothing overflows.
    e = np.exp(s - s.max(axis=0, initial=-np.inf))
    weighted = (sent.reshape(-1, HEADS, HEAD_WIDTH) * e[:, :, None]).reshape(
        len(sent), WIDTH
    )
    # (J, WIDTH + HEADS)
    columns = np.ascontiguousarray(np.concatenate([weighted, e], axis=1))
    if which is None:
        total = pattern @ columns
    else:
        factor = np.exp(t - t.max(axis=0))  # (u, HEADS)
        total = np.zeros((pattern.shape[0], WIDTH + HEADS), dtype=sent.dtype)
        if len(edge) <= _FEW:
            for u in range(len(edge)):
                part = sparse.csr_matrix(
                    ((which == u).astype(sent.dtype), pattern.indices, pattern.indptr),
                    shape=pattern.shape,
                )
                # The indices belong to the graph, and the next line is in place.
                part = part.copy()
                part.eliminate_zeros()
                spread = np.concatenate([np.repeat(factor[u], HEAD_WIDTH), factor[u]])
                total += (part @ columns) * spread
        else:
            for h in range(HEADS):
                of_head = [*range(h * HEAD_WIDTH, (h + 1) * HEAD_WIDTH), WIDTH + h]
                part = sparse.csr_matrix(
                    (factor[which, h], pattern.indices, pattern.indptr),
                    shape=pattern.shape,
                )
                total[:, of_head] = part @ np.ascontiguousarray(columns[:, of_head])
    norm = np.maximum(total[:, WIDTH:], 1e-30)
    message: np.ndarray = total[:, :WIDTH] / np.repeat(norm, HEAD_WIDTH, axis=1)
    return message


def _skip(
    own: np.ndarray, of_rows: np.ndarray, pattern: sparse.csr_matrix, w: Weights
) -> np.ndarray:
    """Return (n,) the linear part of the logits; 0 for weights without one."""
    if "skip.weight" not in w:
        return np.zeros(len(own), dtype=own.dtype)
    degree = np.maximum(1, np.bincount(pattern.indices, minlength=len(own)))
    mean = (pattern.T @ of_rows) / degree[:, None].astype(own.dtype)
    both = np.concatenate([own, mean], axis=1)
    linear: np.ndarray = _linear(both, w, "skip")[:, 0]
    return linear


def _leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, LEAK * x)


def _linear(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    mapped: np.ndarray = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return mapped


def _normalised(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    normalised: np.ndarray = (x - w[f"{name}_mean"]) / w[f"{name}_std"]
    return normalised


def _distinct(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the distinct edge rows and the row of each entry (None when all are the same)."""
    if len(edges) == 0 or bool((edges == edges[0]).all()):
        return edges[:1], None
    # One number per row: np.unique over an axis sorts records, which is twenty times slower.
    _, first, which = np.unique(_codes(edges), return_index=True, return_inverse=True)
    return edges[first], which


def _codes(edges: np.ndarray) -> np.ndarray:
    codes = np.zeros(len(edges), dtype=np.int64)
    for column in range(edges.shape[1]):
        values, inverse = np.unique(edges[:, column], return_inverse=True)
        codes = codes * len(values) + inverse
    return codes


def _transposed(
    pattern: sparse.csr_matrix, which: np.ndarray | None
) -> tuple[sparse.csr_matrix, np.ndarray | None]:
    if which is None:
        return pattern.T.tocsr(), None
    numbered = sparse.csr_matrix(
        (np.arange(pattern.nnz), pattern.indices, pattern.indptr), shape=pattern.shape
    ).T.tocsr()
    ones = np.ones(pattern.nnz, dtype=pattern.dtype)
    return sparse.csr_matrix(
        (ones, numbered.indices, numbered.indptr), shape=numbered.shape
    ), which[numbered.data]
