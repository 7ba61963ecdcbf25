"""Cached states, batches, the net against its numpy form, training that resumes, figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cost_models.text.head import ControlHead, Trace
from tests.workers.train.text.toy import WIDTH, ToyReader, toy_sections
from workers.train.text.batches import batch, described, norms, start
from workers.train.text.figures import auc, auc_by_length, drift
from workers.train.text.fit import FitParams, fit
from workers.train.text.net import HeadNet, Start
from workers.train.text.passages import Part
from workers.train.text.states import States, load_items, load_states, make_states
from workers.train.text.train import load_texts, train_head

FOUND = toy_sections()
COUNTS: dict[Part, int] = {"train": 500, "valid": 60, "test": 120}
PARAMS = FitParams(epochs=5, rank=16, rate=1e-2)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    make_states(FOUND, ToyReader(), folder, counts=COUNTS, seed=0, say=lambda _: None)
    return folder


def test_states_resume(work: Path, tmp_path: Path) -> None:
    reader = ToyReader()
    make_states(FOUND, reader, work, counts=COUNTS, seed=0, say=lambda _: None)
    assert reader.read == 0
    for path in work.glob("*.safetensors"):
        if path.name != "train-001.safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    make_states(FOUND, reader, tmp_path, counts=COUNTS, seed=0, say=lambda _: None)
    assert reader.read == 250
    again, first = load_states(tmp_path, "train"), load_states(work, "train")
    assert np.array_equal(again.ids, first.ids)
    assert np.array_equal(again.states, first.states)


def test_every_labelled_token_has_a_state_before_it(work: Path) -> None:
    states = load_states(work, "test")
    assert len(states) == 120
    assert load_items(work).shape[0] == len(FOUND)
    for number in range(len(states)):
        ids, values = states.text(number)
        assert len(ids) == len(values)
        assert 1 <= states.boundary[number] < len(ids)
        # The toy's state after a token is that token's embedding.
        rows = ToyReader().embeddings(ids.tolist())
        assert np.abs(values - rows).max() < 0.6


def test_descriptions_are_those_of_the_controller(work: Path) -> None:
    states = load_states(work, "test")
    ids, values = states.text(0)
    rows = ToyReader().embeddings(ids.tolist())
    for first in (0, int(states.boundary[0]) - 1):
        got = described(values, rows, first)
        trace = Trace(values.shape[1])
        for place in range(first, len(ids)):
            trace.add(values[place].astype(np.float32), rows[place])
            assert got[place] == pytest.approx(trace.vector, abs=1e-4)


def test_the_net_is_the_published_form(work: Path) -> None:
    """Weights go from torch to numpy in half precision: the same log-chances."""
    reader = ToyReader()
    texts = load_texts(FOUND, reader, work, "test")
    torch.manual_seed(0)
    scales = norms(texts.states, texts.rows)
    begin = start(texts, scales, 8)
    net = HeadNet(norms=scales, start=begin)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    drawn = batch(texts, [0, 1], [True, False], np.random.default_rng(0))
    with torch.no_grad():
        logits, exact = net.eval()(*drawn.inputs)
    head = ControlHead(net.arrays())
    again = HeadNet.of(net.arrays())
    assert again.arrays().keys() == net.arrays().keys()
    for name, value in net.arrays().items():
        assert np.array_equal(again.arrays()[name], value)
    for i, k, t in ((0, 0, 0), (0, 3, 1), (1, 2, 1)):
        items = head.condition(drawn.items[i].numpy())
        rows = drawn.rows[i, t : t + 1].numpy()
        words, count = drawn.words[i, :, t].numpy(), int(drawn.count[i, t])
        before = head.text(drawn.before[i, t].numpy())
        aims = head.aims(items)
        got = head.log_chances(before, aims, rows, words[:, None], count)[k, 0]
        log = torch.nn.functional.logsigmoid(torch.stack([logits, exact]))[:, i, k, t]
        assert got == pytest.approx(float(log[0]), abs=0.05, rel=0.02)
        after = head.text(drawn.after[i, t].numpy())
        assert head.exact_log_chance(after, items, words, count)[k] == pytest.approx(
            float(log[1]), abs=0.05, rel=0.02
        )


def test_training_learns_what_a_text_is_about(work: Path, tmp_path: Path) -> None:
    for path in work.glob("*.safetensors"):
        (tmp_path / path.name).symlink_to(path)
    got = train_head(
        FOUND, ToyReader(), PARAMS, work=tmp_path, command="toy", say=lambda _: None
    )
    assert got["auc"]["one_pass"]["all"] > 0.7
    assert got["auc"]["exact"]["all"] > 0.7
    assert (tmp_path / "head.safetensors").is_file()
    spliced, kept = got["drift"]["spliced"], got["drift"]["kept"]
    assert spliced[-1] < kept[-1]


def test_an_interrupted_training_goes_on(work: Path, tmp_path: Path) -> None:
    reader = ToyReader()
    train, valid = (load_texts(FOUND, reader, work, part) for part in ("train", "valid"))
    given = {"norms": norms(train.states, train.rows)}
    few = FitParams(epochs=2, rank=4)

    class Stop(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("epoch 1/"):
            raise Stop

    with pytest.raises(Stop):
        fit(train, valid, few, **given, state=tmp_path / "a", say=stop)  # type: ignore[arg-type]
    lines: list[str] = []
    kinds = {"state": tmp_path / "a", "say": lines.append}
    resumed = fit(train, valid, few, **given, **kinds)  # type: ignore[arg-type]
    assert len(lines) == 1
    whole = fit(train, valid, few, **given, state=tmp_path / "b", say=lambda _: None)  # type: ignore[arg-type]
    for one, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(one, other, atol=2e-3)


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, 60).astype(float)
    labels = rng.random(60) < 0.4
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a in scores[labels]
        for b in scores[~labels]
    ]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs))
    with pytest.raises(ValueError, match="expected both"):
        auc(scores, labels | True)


def test_a_net_that_knows_nothing(work: Path) -> None:
    """Figures of untrained weights are those of chance."""
    texts = load_texts(FOUND, ToyReader(), work, "test")
    torch.manual_seed(0)
    scales = norms(texts.states, texts.rows)
    nothing = Start.nothing(WIDTH, rank=8, gate=4)
    net = HeadNet(norms=scales, start=nothing)
    net.t.data.zero_()
    net.words.words.data.zero_()
    net.exact_words.words.data.zero_()
    figures = auc_by_length(net.eval(), texts)
    assert figures["one_pass"]["all"] == pytest.approx(0.5, abs=0.1)
    lines = drift(net, texts)
    assert lines["spliced"] == pytest.approx(lines["kept"], abs=0.3)


def test_no_state_is_lost_between_shards(work: Path) -> None:
    states = load_states(work, "train")
    assert isinstance(states, States)
    assert states.first[-1] == len(states.ids) == len(states.states)
    assert len(states) == 500
