"""The bed on a small graph: probes, arms and the summary with its interval."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from gnn.pretrain.objectives import Loss  # noqa: E402
from workers.bench.pretrain import bed  # noqa: E402
from workers.bench.pretrain.block_model import (  # noqa: E402
    BlockParams,
    draw_graph,
    smooth,
)
from workers.bench.pretrain.probes import (  # noqa: E402
    neighbour_accuracy,
    ridge_accuracy,
)
from workers.bench.stats import mean_interval  # noqa: E402

SMALL = BlockParams(nodes=150, inside=0.2, across=0.035)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_graphs_repeat_and_have_the_homophily_that_the_probabilities_give() -> None:
    graph = draw_graph(SMALL, 3)
    assert torch.equal(graph.x, draw_graph(SMALL, 3).x)
    same = graph.label[graph.edges[0]] == graph.label[graph.edges[1]]
    inside, across = 29 * SMALL.inside, 120 * SMALL.across
    assert float(same.float().mean()) == pytest.approx(
        inside / (inside + across), abs=0.1
    )
    assert not set(graph.train.tolist()) & set(graph.test.tolist())


def test_smoothing_is_the_mean_over_a_node_and_its_neighbours() -> None:
    graph = draw_graph(SMALL, 0)
    got = smooth(graph.x, graph.edges)
    senders = graph.edges[0][graph.edges[1] == 7]
    torch.testing.assert_close(
        got[7], torch.cat([graph.x[7:8], graph.x[senders]]).mean(0)
    )


def test_probes_are_perfect_on_the_labels_and_at_chance_on_noise() -> None:
    graph = draw_graph(SMALL, 1)
    labels = torch.nn.functional.one_hot(graph.label, 5).float()
    noise = torch.randn(150, 8, generator=torch.Generator().manual_seed(0))
    assert ridge_accuracy(labels, graph, 1) == 1
    assert neighbour_accuracy(labels, graph) == 1
    assert ridge_accuracy(noise, graph, 5) == pytest.approx(0.2, abs=0.1)


def test_every_arm_has_a_line_for_each_seed_and_one_with_intervals() -> None:
    lines = list(bed.run(seeds=(0, 1), steps=2, params=SMALL))
    arms = {*bed.CONTROLS, *map(str, Loss)}
    assert {line["arm"] for line in lines} == arms
    assert len(lines) == 3 * len(arms)
    summary = [line for line in lines if line["graph_seed"] == "all"]
    for line in summary:
        low, high = line["ridge_5"][1:]
        seeds = [x["ridge_5"] for x in lines if x["arm"] == line["arm"]][:2]
        assert low <= min(seeds) <= max(seeds) <= high


def test_selection_correlates_every_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bed, "SETTINGS", bed.SETTINGS[:3])
    lines = list(bed.selection(seeds=(0,), steps=2, params=SMALL))
    assert [line["score"] for line in lines[3:]] == ["rankme", "alpha", "lidar"]
    assert all(-1 <= line["spearman"][0] <= 1 for line in lines[3:])


def test_the_interval_is_students() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert (mean, high - mean) == pytest.approx((2, 4.302653 / 3**0.5), rel=1e-6)
    assert low == pytest.approx(2 * mean - high)
