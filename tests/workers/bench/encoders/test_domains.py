"""Encoders over labelled graphs: parameters, splits, pairing and the rule of adoption."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from gnn.layers.encoders import PAPER, parameters_of  # noqa: E402
from tests.workers.bench.encoders.tiny_task import task  # noqa: E402
from workers.bench.encoders import data, domains  # noqa: E402
from workers.bench.encoders.graphs import (  # noqa: E402
    ENCODERS,
    Readout,
    TaskNet,
    Training,
    joined,
    split,
    widths,
)

TRAINING = Training(steps=40, rate=1e-2)


def test_widths_give_equal_parameters() -> None:
    own = task()
    wide = widths(own, 16)
    counts = {e: parameters_of(TaskNet(own, e, wide[e])) for e in ENCODERS}
    assert wide["grmp"] == 16
    assert max(counts.values()) < 1.35 * min(counts.values()), counts


@pytest.mark.parametrize("encoder", ENCODERS)
def test_graphs_of_a_batch_do_not_see_each_other(encoder: str) -> None:
    own = task()
    torch.manual_seed(0)
    net = TaskNet(own, encoder, 8).eval()
    with torch.no_grad():
        together = net(joined(own.graphs[:3]))
        alone = torch.cat([net(joined([graph])) for graph in own.graphs[:3]])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_every_group_is_on_one_side() -> None:
    groups = [f"g{number // 3}" for number in range(30)]
    fit, out = split(groups, 1)
    assert sorted(fit + out) == list(range(30))
    assert not {groups[i] for i in fit} & {groups[i] for i in out}
    assert split(groups, 1) == (fit, out) != split(groups, 2)


def test_a_trained_net_beats_the_constant_and_lines_are_paired() -> None:
    lines = list(
        domains.rivals(
            task(),
            encoders=("grmp", PAPER),
            seeds=(0, 1),
            width=8,
            training=TRAINING,
        )
    )
    runs = [line for line in lines if line["run_seed"] != "all"]
    assert [(r["run_seed"], r["encoder"]) for r in runs] == [
        (0, "grmp"),
        (0, PAPER),
        (1, "grmp"),
        (1, PAPER),
    ]
    assert all(run["loss"] < run["constant"] for run in runs)
    summary = next(r for r in lines if (r["run_seed"], r["encoder"]) == ("all", "grmp"))
    assert summary["verdict"] in (
        "rejected",
        "adopted: lower loss",
        "adopted: as good and faster",
    )
    again = domains.rivals(
        task(),
        encoders=("grmp", PAPER),
        seeds=(0, 1),
        width=8,
        training=TRAINING,
        earlier=runs,
    )
    assert [line["run_seed"] for line in again] == ["all", "all"]


def test_tasks_over_nodes_use_the_contrastive_loss() -> None:
    own = task(8, Readout.NODES)
    (line,) = [
        line
        for line in domains.rivals(
            own, encoders=("grmp",), seeds=(0,), width=8, training=Training(steps=2)
        )
        if line["run_seed"] != "all"
    ]
    assert line["loss"] > 0
    assert line["constant"] is None


@pytest.mark.parametrize(
    ("relative", "faster", "expected"),
    [
        ((-0.08, -0.12, -0.04), 0.5, "adopted: lower loss"),
        ((-0.08, -0.2, 0.04), 0.5, "rejected"),
        ((-0.03, -0.04, -0.02), 1.0, "rejected"),
        ((0.0, -0.015, 0.015), 1.4, "adopted: as good and faster"),
        ((0.0, -0.015, 0.03), 1.4, "rejected"),
    ],
)
def test_the_rule_of_adoption(
    relative: tuple[float, float, float], faster: float, expected: str
) -> None:
    assert domains.verdict(relative, faster) == expected


def test_set_covers_have_sets_that_improve_them() -> None:
    own = data.models(most=2, say=lambda text: None)
    for graph in own.graphs:
        assert graph.positives is not None
        assert graph.negatives is not None
        assert graph.positives.any(axis=1).all()
        marked = int(graph.marked.sum())
        assert graph.positives.shape[1] == graph.negatives.shape[1] == marked
    assert np.unique(own.groups).size == 2
