"""Training of the graph reader: oracles, changes that keep the reference, the network, resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from search.domains.plan.reading.graphs.decode import decoded
from search.domains.plan.reading.graphs.grammar import Act, Labels, Machine, linearised
from search.domains.plan.reading.graphs.network import Network, after_step
from search.domains.plan.reading.graphs.words import Pieces, coded
from workers.train.plan.cli import main
from workers.train.plan.graph_data import Marked, batch_of, changed, example_of
from workers.train.plan.graph_fit import Plan, fit
from workers.train.plan.graph_judge import faults
from workers.train.plan.graph_net import GraphNet, Sizes, loss_of
from workers.train.plan.graph_oracle import labels_of, oracle, place_of, rows_of
from workers.train.plan.graph_steps import calibrated, marked, marked_sets, weights_of

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_SIZES = Sizes(layers=1, rank=16, width=64, decoder_layers=1, dropout=0.0)


def vocabulary() -> dict[str, int]:
    found = {f"[{i}]": i for i in range(1000)}
    for piece in (*_LETTERS, *(f"##{c}" for c in _LETTERS), *".,;:!?()%-–"):
        found[piece] = len(found)
    return found


def small(labels: int, sizes: Sizes) -> tuple[GraphNet, dict[str, int]]:
    torch.manual_seed(1)
    pieces = vocabulary()
    return GraphNet(labels, sizes, len(pieces)), pieces


@pytest.fixture(scope="module")
def goals() -> list[Marked]:
    return [
        goal
        for name, path in marked_sets().items()
        for goal in marked(name, rows_of(path.read_text().splitlines()[::3]))
    ]


@pytest.fixture(scope="module")
def labels(goals: list[Marked]) -> Labels:
    return labels_of(goal.graph for goal in goals)


def test_every_marked_goal_survives_the_way_to_steps_and_back(
    goals: list[Marked], labels: Labels
) -> None:
    pieces = Pieces(vocabulary())
    assert len(goals) > 300
    for goal in goals[::2]:
        row = coded(goal.text, goal.files, pieces)
        if row is None:
            continue  # too long in these short pieces
        steps = linearised(goal.graph, row, labels)
        assert steps is not None, goal.id
        machine = Machine(labels, row)
        for step in steps:
            allowed, words, files = machine.legal()
            match step.act:
                case Act.LABEL:
                    assert allowed[step.at], (goal.id, labels.names[step.at])
                case Act.WORDS:
                    assert words, goal.id
                case Act.FILE:
                    assert files, goal.id
            machine.push(step)
        assert machine.ended
        graph = machine.graph()
        assert linearised(graph, row, labels) == steps, goal.id
        assert [job.kind for job in graph.jobs] == [job.kind for job in goal.graph.jobs]
        assert graph.order == goal.graph.order


def test_an_oracle_has_no_fault() -> None:
    for path in list(marked_sets().values())[:1]:
        for row in rows_of(path.read_text().splitlines()[::2]):
            assert faults(row, oracle(row)) == [], row["id"]


def test_changes_keep_the_words_that_are_marked(
    goals: list[Marked], labels: Labels
) -> None:
    rng, pieces = np.random.default_rng(2), Pieces(vocabulary())
    for goal in goals[::8]:
        other = changed(goal, goals, rng)
        before = [v for job in goal.graph.jobs for v in job.values]
        after = [v for job in other.graph.jobs for v in job.values]
        assert [v.path for v in after[: len(before)]] == [v.path for v in before]
        for value in after:
            for words in value.words:
                assert other.text[words.start : words.end].strip()
        assert set(n for job in other.graph.jobs for n in job.files.values()) <= set(
            other.files
        )
        example_of(other, pieces, labels)


def test_a_mark_with_a_number_is_that_occurrence() -> None:
    place = place_of("8 cards, 8 threads", "8@2")
    assert place is not None
    assert place.start == 9
    assert place_of("none", "8@2") is None


def test_numpy_computes_what_torch_trained(goals: list[Marked], labels: Labels) -> None:
    net, names = small(len(labels.names), _SIZES)
    net.eval()
    goal = next(g for g in goals if len(g.graph.jobs) == 2 and len(g.text) < 150)
    example = example_of(goal, Pieces(names), labels)
    assert example is not None
    state_labels = Labels(names=labels.names, kinds=labels.kinds)
    from workers.train.plan.graph_fit import State

    state = State(net=net, mean={n: p.detach() for n, p in net.named_parameters()})
    weights = weights_of(state, state_labels, names)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.from_numpy(np.array(weights.arrays[name])))
        logits, lasts = net(batch_of([example], labels))
    network, machine = Network(weights, example.coded), Machine(labels, example.coded)
    memory, before = network.begin(), None
    n, w = len(labels.names), len(example.coded.words)
    width = len(example.coded.at)
    for t, step in enumerate(example.steps):
        memory, got, y = network.next(memory, before, machine)
        row = logits[0, t].numpy()
        files = row[n + width : n + width + len(example.coded.files)]
        wanted = np.concatenate([row[: n + w], files])
        assert np.abs(got - wanted).max() < 2e-3
        if step.act is Act.WORDS:
            torch_last = torch.log_softmax(lasts[0, t], 0).numpy()
            mine = network.last_words(y, step.at)
            assert np.abs(mine - torch_last[: len(mine)]).max() < 2e-3
        machine.push(step)
        begins = step.act is Act.LABEL and labels.names[step.at].startswith("job:")
        memory, before = after_step(memory, step, begins_job=begins), step


def test_training_lowers_the_loss_and_resumes_to_the_same_weights(
    goals: list[Marked], labels: Labels, tmp_path: Path
) -> None:
    few = [goal for goal in goals if len(goal.text) < 80][:10]
    said: list[str] = []
    plan = Plan(epochs=2, seed=0, sizes=_SIZES, batch=5)
    whole, _ = fit(few, labels, plan, work=tmp_path / "a.pt", say=said.append, make=small)
    for _ in range(2):
        part, names = fit(
            few,
            labels,
            plan,
            work=tmp_path / "b.pt",
            say=said.append,
            until_s=0.0001,
            make=small,
        )
    assert part.epoch == 2
    for name, array in whole.mean.items():
        assert torch.allclose(array, part.mean[name], atol=1e-6), name
    losses = [
        float(line.split("loss ")[1].split(",")[0]) for line in said if "loss" in line
    ]
    assert losses[1] < losses[0]
    weights = weights_of(part, labels, names)
    row = coded(few[0].text, few[0].files, Pieces(weights.vocabulary))
    assert row is not None
    decoded(weights, row, width=1)


def test_padding_changes_no_loss(goals: list[Marked], labels: Labels) -> None:
    net, names = small(len(labels.names), _SIZES)
    net.eval()
    pieces = Pieces(names)
    rows = [e for g in goals[:8] if (e := example_of(g, pieces, labels)) is not None]
    with torch.no_grad():
        together = loss_of(net, batch_of(rows, labels), len(labels.names))[1]
        alone = torch.cat(
            [loss_of(net, batch_of([row], labels), len(labels.names))[1] for row in rows]
        )
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-3)


def test_calibration_follows_what_was_right() -> None:
    from workers.train.plan.graph_steps import Measured

    rng = np.random.default_rng(0)
    sure = rng.random(200)
    right = rng.random(200) < sure
    measured = Measured(
        author="x",
        goals=200,
        right=int(right.sum()),
        signs=tuple((float(np.log(p)), 0.0, 0.0, 0.0) for p in sure),
        verdicts=tuple(bool(r) for r in right),
    )
    constant, slope, *_ = calibrated([measured])
    low = 1 / (1 + np.exp(-(constant + slope * np.log(0.2))))
    high = 1 / (1 + np.exp(-(constant + slope * np.log(0.9))))
    assert low < 0.4 < 0.6 < high


def test_an_author_without_marked_goals_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graphs", "--never", "nobody", "--work", str(tmp_path)]) == 2
    assert "got nobody" in capsys.readouterr().err
