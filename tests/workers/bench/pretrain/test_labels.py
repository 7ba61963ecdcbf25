"""Label-efficiency curves on a small task, and the rule that decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.workers.bench.encoders.tiny_task import task
from workers.bench.encoders.graphs import Graph
from workers.bench.pretrain.label_picture import draw_cards
from workers.bench.pretrain.labels import (
    ARMS,
    PROXY,
    RANDOM,
    SCRATCH,
    SELF,
    SHARES,
    CurveParams,
    Domain,
    run,
    verdict,
)

TASK = task(40)


def view(number: int, rng: np.random.Generator) -> Graph:
    graph = TASK.graphs[number]
    noise = rng.standard_normal(graph.x.shape).astype(np.float32)
    return replace(graph, x=graph.x + 0.05 * noise)


# The proxy is the target itself, so that its arm must do well.
DOMAIN = Domain(
    task=TASK,
    proxies=np.stack([graph.target for graph in TASK.graphs]).astype(float),
    view=view,
)


def test_curves_and_card() -> None:
    params = CurveParams(width=8, pretrain_steps=50, steps=8, rate=1e-2)
    lines = list(run(DOMAIN, seeds=(0, 1), params=params))
    assert [line["run_seed"] for line in lines] == [0, 1, "all"]
    card = lines[-1]
    assert set(card["errors"]) == set(ARMS)
    assert card["labels"][-1] == lines[0]["fit"]
    assert card["errors"][PROXY][-1][0] < 1.0, "a proxy that is the target tells all"
    assert card["default"] in (SCRATCH, SELF)
    assert len(card["reasons"]) in (3, 4)
    again = list(run(DOMAIN, seeds=(0, 1), params=params, earlier=lines[:2]))
    assert again == lines[-1:]
    picture = draw_cards([card])
    assert picture.startswith("<svg")
    assert "tiny with all labels" in picture


def curves(own: float, *, proxy: float = 1.2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    scratch = np.linspace(2.0, 0.5, len(SHARES)) + 0.01 * rng.standard_normal((5, 7))
    return {
        SCRATCH: scratch,
        RANDOM: scratch,
        PROXY: proxy * scratch,
        SELF: own * scratch,
    }


def test_the_rule() -> None:
    assert verdict(curves(0.5))[0] == SELF
    assert verdict(curves(0.99))[0] == SCRATCH, "too little"
    assert verdict(curves(0.5, proxy=0.4))[0] == SCRATCH, "the proxy is better"
    none_learned = {arm: values + 2 for arm, values in curves(0.5).items()}
    default, reasons = verdict(none_learned)
    assert default == SCRATCH
    assert reasons[0] == "nothing is decided: no arm has learned the task"
