"""The three-range task: its relations, its target, and both suites at a small size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from workers.bench.encoders import cli, ring  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_target_is_what_the_relations_carry() -> None:
    params = ring.RingParams(nodes=40)
    relations = ring.ring_relations(40)
    batch = ring.draw(2, params, relations, torch.Generator().manual_seed(0))
    x = batch.x.view(2, 41, 4)
    for i in (0, 17, 39):
        heard = {
            kind.name: relations.of(kind.name)[0][relations.of(kind.name)[1] == i]
            for kind in relations.kinds
        }
        left, right = heard["from the left"], heard["from the right"]
        own = x[1, i, 3]
        want = (x[1, left, 0] - x[1, right, 0]).item() * torch.sigmoid(2 * own).item()
        want += 2.4 * (x[1, heard["away"], 1].mean() * torch.tanh(own)).item()
        want += 8 * x[1, :40, 2].mean().item()
        assert batch.target[1, i].item() == pytest.approx(want, abs=1e-5)


def test_training_explains_some_of_the_target() -> None:
    params = ring.RingParams(steps=80, batch=4, width=16, tested=8)
    relations = ring.ring_relations(params.nodes)
    torch.manual_seed(0)
    net = ring.RingNet("grmp", 16, len(relations.kinds), 2)
    assert ring._train(net, relations, 0, params)["r2"] > 0.1


def test_both_suites_write_lines(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    small = ["--seeds", "2", "--steps", "1", "--width", "8", "--out", str(out)]
    assert cli.main(["rivals", "--encoders", "grmp", "gine", *small]) == 0
    assert cli.main(["ranges", *small]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["run_seed"] for line in lines[:6]] == [0, 1, 0, 1, "all", "all"]
    assert len(lines[5]["grmp_less_this"]) == 3
    assert [line["ranges"] for line in lines[6:]] == [
        "short",
        "short, medium",
        "short, long",
        "all",
        "all, one relation",
    ]
