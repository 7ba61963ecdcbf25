"""NeuroShard as published against a plain implementation, table by table."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.search.deadlines import never
from search.domains.sharding.search.neuroshard import neuroshard
from tests.search.domains.sharding.conftest import Make, Ready, job
from trimtab.specs.sharding import BeamOptions, Hardware


def reference(r: Ready, net, exchange, beam: BeamOptions) -> float:
    """Run NeuroShard's algorithm table by table, as in the authors' code; return the best cost."""
    options, capacity, devices = r.setup.items.options, r.setup.capacity[0], 4
    embedding = net.embedding[0]
    single = net.single[0]

    def place(state: list[int], cap: float) -> float:
        order = sorted(range(len(state)), key=lambda i: single[state[i]])
        shards: list[list[int]] = [[] for _ in range(devices)]
        cost = [0.0] * devices
        mean = sum(options.dim[o] for o in state) / devices
        while order:
            o = state[order.pop()]
            able = [
                d
                for d in range(devices)
                if sum(options.memory[q] for q in shards[d]) + options.memory[o]
                <= capacity
                and sum(options.dim[q] for q in shards[d]) + options.dim[o]
                <= cap * mean + 1e-9
            ]
            if not able:
                return np.inf
            chosen = min(
                able, key=lambda d: (cost[d], sum(options.memory[q] for q in shards[d]))
            )
            shards[chosen].append(o)
            cost[chosen] = float(net.heads[0](embedding[shards[chosen]].sum(0)[None])[0])
        dims = np.array([float(sum(options.dim[q] for q in h)) for h in shards])
        return float(exchange.total(np.array(cost), dims))

    def grade(state: list[int]) -> float:
        return min(place(state, cap) for cap in np.linspace(1.0, 1.5, beam.grid))

    start = list(map(int, r.setup.items.whole))
    states, best = [start], grade(start)
    for _ in range(beam.levels):
        offers: dict[tuple[int, ...], tuple[float, list[int]]] = {}
        for state in states:
            by_memory = sorted(
                range(len(state)), key=lambda i: -options.memory[state[i]]
            )[: beam.candidates]
            by_cost = sorted(range(len(state)), key=lambda i: -single[state[i]])[
                : beam.candidates
            ]
            for i in dict.fromkeys(by_memory + by_cost):
                half = int(options.half[state[i]])
                if half >= 0:
                    new = [*state, half]
                    new[i] = half
                    offers.setdefault(tuple(sorted(new)), (grade(new), new))
        ranked = sorted(offers.values(), key=lambda offer: offer[0])[: beam.width]
        states = [new for _, new in ranked]
        best = min([best, *(cost for cost, _ in ranked)])
    return best


@pytest.mark.parametrize("seed", range(3))
def test_the_beam_gives_the_reference_cost(ready: Make, seed: int) -> None:
    r = ready(job(12, 4, seed=seed, slack=1.4))
    beam = BeamOptions(levels=3, width=2, candidates=3, grid=5)
    paper = r.models.paper(r.setup.items, r.setup.arrays, Hardware.A100, 4)
    result = neuroshard(
        r.setup.items,
        paper,
        r.setup.capacity,
        beam,
        stop=never,
        on_best=lambda plan, cost: None,
    )
    assert result.cost == pytest.approx(
        reference(r, paper, paper.exchange, beam), rel=1e-9
    )
