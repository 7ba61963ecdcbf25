"""Random integer programs by the recipes of the literature, seeded.

The four families of CL-LNS and LB-RELAX:

- set-cover: Balas and Ho (1980) as in learn2branch (Gasse et al. 2019): density 0.05, two rows a
  column, costs 1..100
- independent-set: Erdős–Rényi graph of average degree 8, unit weights, one row an edge (as CL-LNS's
  shipped instances)
- vertex-cover: Barabási–Albert graph, 70 edges a new node (14 at a fifth of the size), node weights
  U(0, 1)
- auction: combinatorial auction, "arbitrary" scheme of Leyton-Brown, Pearson, Shoham (2000) with
  learn2branch's parameters

Sizes: `S` is the size that CL-LNS (Huang et al. 2023) tests on, `L` has twice the variables,
`1/5` a fifth of `S`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from scipy import sparse

from solvers.types import Floats, MilpModel
from workers.corpus.mps import write_mps as write_mps


@dataclass(frozen=True, kw_only=True)
class Family:
    """A recipe and its sizes. `make(size numbers, seed)` returns the model."""

    sizes: Mapping[str, tuple[int, ...]]
    make: Callable[[tuple[int, ...], int], MilpModel]


def set_cover(
    rows: int, columns: int, *, density: float = 0.05, max_cost: int = 100, seed: int
) -> MilpModel:
    """Return a Balas–Ho instance of set cover.

    Raises ValueError when the density cannot give every column two rows and every row one column.
    """
    nonzeros = int(rows * columns * density)
    if nonzeros < max(rows, 2 * columns):
        raise ValueError(
            f"density: expected at least {max(rows, 2 * columns)} nonzeros, "
            f"got {nonzeros} from {density}"
        )
    rng = np.random.default_rng(seed)
    # Number of rows that each column covers: two each, the rest at random.
    counts = 2 + np.bincount(
        rng.integers(columns, size=nonzeros - 2 * columns), minlength=columns
    )
    counts = np.minimum(counts, rows)
    # Deal every row once over the columns' places; fill the rest at random, without repetition in
    # a column.
    deck = rng.permutation(rows)
    dealt = 0
    covered: list[np.ndarray] = []
    for column in range(columns):
        count = int(counts[column])
        own = deck[dealt : dealt + count] if dealt < rows else deck[:0]
        dealt += len(own)
        chosen = set(own.tolist())
        while len(chosen) < count:
            chosen.update(rng.integers(rows, size=count - len(chosen)).tolist())
        covered.append(np.fromiter(chosen, dtype=np.int64))
    column_of = np.repeat(np.arange(columns), [len(c) for c in covered])
    costs = rng.integers(1, max_cost + 1, size=columns).astype(float)
    matrix = sparse.csr_matrix(
        (np.ones(len(column_of)), (np.concatenate(covered), column_of)),
        shape=(rows, columns),
    )
    return _binary(
        costs, matrix, lower=np.ones(rows), upper=np.full(rows, np.inf), name="setcover"
    )


def independent_set(nodes: int, *, average_degree: float = 8.0, seed: int) -> MilpModel:
    """Return the model of the largest independent set in an Erdős–Rényi graph. Maximises."""
    rng = np.random.default_rng(seed)
    pairs = nodes * (nodes - 1) // 2
    edges = int(rng.binomial(pairs, min(1.0, average_degree / max(1, nodes - 1))))
    codes = np.zeros(0, dtype=np.int64)
    while len(codes) < edges:
        ends = np.sort(
            rng.integers(nodes, size=(2 * (edges - len(codes)) + 8, 2)), axis=1
        )
        ends = ends[ends[:, 0] < ends[:, 1]]
        codes = np.unique(np.concatenate([codes, ends[:, 0] * nodes + ends[:, 1]]))
    codes = np.sort(rng.choice(codes, size=edges, replace=False))
    matrix = _edge_rows(np.stack([codes // nodes, codes % nodes], axis=1), nodes)
    return _binary(
        -np.ones(nodes),
        matrix,
        lower=np.full(edges, -np.inf),
        upper=np.ones(edges),
        name="independentset",
        maximize=True,
    )


def vertex_cover(nodes: int, *, attach: int = 70, seed: int) -> MilpModel:
    """Return the model of the cheapest vertex cover in a Barabási–Albert graph.

    The graph has attach · (nodes − attach) edges.
    """
    if not 0 < attach < nodes:
        raise ValueError(f"attach: expected 0 < attach < {nodes} nodes, got {attach}")
    rng = np.random.default_rng(seed)
    edges: list[tuple[int, int]] = []
    ends: list[int] = []  # every node as often as it has edges
    targets = list(range(attach))
    for new in range(attach, nodes):
        edges += [(target, new) for target in targets]
        ends += targets + [new] * attach
        drawn: set[int] = set()
        while len(drawn) < attach:
            drawn.update(
                ends[i] for i in rng.integers(len(ends), size=attach - len(drawn))
            )
        targets = sorted(drawn)
    matrix = _edge_rows(np.array(edges), nodes)
    m = len(edges)
    return _binary(
        rng.random(nodes),
        matrix,
        lower=np.ones(m),
        upper=np.full(m, np.inf),
        name="vertexcover",
    )


def auction(items: int, bids: int, *, seed: int) -> MilpModel:
    """Return a winner determination: bids of highest total price that share no item. Maximises.

    A bidder's first bundle starts at an item by interest and grows with probability 0.7 by
    interest × mean compatibility; up to five substitutes of the same size share an item with it.
    A dummy item lets a bidder of three bids or more win one.
    """
    rng = np.random.default_rng(seed)
    values = 1 + 99 * rng.random(items)  # resale value
    compatible = np.triu(rng.random((items, items)), k=1)
    compatible += compatible.T
    compatible /= compatible.sum(axis=1)
    sold: list[tuple[list[int], float]] = []
    dummies = 0
    while len(sold) < bids:
        interest = rng.random(items)
        private = values + 100 * 0.5 * (2 * interest - 1)

        def price(bundle: list[int], private: Floats = private) -> float:
            return float(private[bundle].sum() + len(bundle) ** 1.2)

        first = _grown([_drawn(interest, rng)], interest, compatible, rng, size=None)
        if price(first) < 0:
            continue
        own = {tuple(sorted(first)): price(first)}
        substitutes = []
        for item in first:
            bundle = _grown([item], interest, compatible, rng, size=len(first))
            worth = price(bundle)
            if (
                0 <= worth <= 1.5 * price(first)
                and values[bundle].sum() >= 0.5 * values[first].sum()
            ):
                substitutes.append((worth, tuple(sorted(bundle))))
        for worth, bundle_key in sorted(substitutes, reverse=True):
            if len(own) > 5 or len(sold) + len(own) >= bids:
                break
            own.setdefault(bundle_key, worth)
        dummy = [items + dummies] if len(own) > 2 else []
        dummies += len(dummy)
        sold += [([*bundle, *dummy], worth) for bundle, worth in own.items()]
    column_of = np.repeat(np.arange(len(sold)), [len(bundle) for bundle, _ in sold])
    row_of = np.concatenate([bundle for bundle, _ in sold])
    used, row_of = np.unique(row_of, return_inverse=True)
    matrix = sparse.csr_matrix(
        (np.ones(len(row_of)), (row_of, column_of)), shape=(len(used), len(sold))
    )
    m = len(used)
    prices = np.array([worth for _, worth in sold])
    return _binary(
        -prices,
        matrix,
        lower=np.full(m, -np.inf),
        upper=np.ones(m),
        name="auction",
        maximize=True,
    )


def _drawn(weights: Floats, rng: np.random.Generator) -> int:
    total = np.cumsum(weights)
    index = np.searchsorted(total, rng.random() * total[-1], side="right")
    return int(index.clip(max=len(weights) - 1))


def _grown(
    bundle: list[int],
    interest: Floats,
    compatible: Floats,
    rng: np.random.Generator,
    *,
    size: int | None,
) -> list[int]:
    """Add items until `size`; without one, continue each time with probability 0.7."""
    mean = compatible[bundle[0]].copy()
    while len(bundle) < (size or len(interest)) and (
        size is not None or rng.random() < 0.7
    ):
        weights = interest * mean
        weights[bundle] = 0.0
        bundle = [*bundle, _drawn(weights, rng)]
        mean += compatible[bundle[-1]]
    return bundle


def _edge_rows(edges: np.ndarray, nodes: int) -> sparse.csr_matrix:
    """Return a matrix (edges, nodes) with one row an edge, 1 at both ends."""
    rows = np.repeat(np.arange(len(edges)), 2)
    return sparse.csr_matrix(
        (np.ones(2 * len(edges)), (rows, edges.ravel())), shape=(len(edges), nodes)
    )


def _binary(
    c: Floats,
    matrix: sparse.csr_matrix,
    *,
    lower: Floats,
    upper: Floats,
    name: str,
    maximize: bool = False,
) -> MilpModel:
    matrix.sort_indices()
    n = len(c)
    return MilpModel(
        c=c,
        col_lower=np.zeros(n),
        col_upper=np.ones(n),
        integrality=np.ones(n, dtype=bool),
        indptr=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        data=matrix.data,
        row_lower=lower,
        row_upper=upper,
        name=name,
        maximize=maximize,
    )


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "set-cover": Family(
            sizes={"1/5": (1_000, 800), "S": (5_000, 4_000), "L": (5_000, 8_000)},
            make=lambda size, seed: set_cover(*size, seed=seed),
        ),
        "independent-set": Family(
            sizes={"1/5": (1_200,), "S": (6_000,), "L": (12_000,)},
            make=lambda size, seed: independent_set(*size, seed=seed),
        ),
        "vertex-cover": Family(
            # With 70 edges a node, 200 nodes are trivial (all but the 70 seeds): this has the
            # density of S.
            sizes={"1/5": (200, 14), "S": (1_000, 70), "L": (2_000, 70)},
            make=lambda size, seed: vertex_cover(size[0], attach=size[1], seed=seed),
        ),
        "auction": Family(
            sizes={"1/5": (400, 800), "S": (2_000, 4_000), "L": (4_000, 8_000)},
            make=lambda size, seed: auction(*size, seed=seed),
        ),
    }
)


def generate(family: str, size: str, seed: int) -> MilpModel:
    """Return an instance of `FAMILIES`. Raises KeyError for an unknown family or size."""
    recipe = FAMILIES[family]
    return recipe.make(recipe.sizes[size], seed)


def main(argv: list[str]) -> int:
    """Write an instance: `set-cover --size 1/5 --seed 0 OUT.mps`."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench generators", description=__doc__
    )
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--size", choices=["1/5", "S", "L"], default="1/5")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(argv)
    write_mps(generate(options.family, options.size, options.seed), options.out)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
