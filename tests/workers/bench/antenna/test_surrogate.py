import numpy as np
import pytest

pytest.importorskip("torch")

from cost_models.antenna.heads import Head
from cost_models.antenna.nets import Trunk, initial_weights, weight_count
from workers.bench.antenna import surrogate
from workers.bench.antenna.specifications import ALL
from workers.train.antenna import shards
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.shards import make_shards, shard_paths
from workers.train.antenna.train import Plan, net_shape


@pytest.mark.parametrize("trunk", Trunk)
@pytest.mark.parametrize("head", [Head.MODAL, Head.RLC, Head.CZP, Head.DIRECT])
def test_all_nets_of_the_study_have_the_same_number_of_weights(trunk, head):
    width, depth = surrogate._SIZES[trunk]
    plan = Plan(trunk=trunk, head=head, width=width, depth=depth)
    shape = surrogate.matched(net_shape(DEFAULT.facts, plan), surrogate._WEIGHTS)
    count = weight_count(initial_weights(shape, np.random.default_rng(0)))
    assert count == pytest.approx(surrogate._WEIGHTS, rel=0.02)


def test_a_study_resumes_and_has_its_yardsticks(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SIZE", 60)
    make_shards(DEFAULT, tmp_path, samples=120, fine=0, seed=0, say=lambda _: None)
    fields = {
        "work": tmp_path,
        "heads": [Head.RLC, Head.DB, Head.MODAL],
        "trunks": [Trunk.MLP],
        "samples": [50],
        "seeds": [0],
        "steps": 4,
        "ablations": False,
    }
    lines = list(surrogate.run(**fields))
    by_modes = [line["complex_mae"] for line in lines if line.get("modes")]
    assert by_modes[-1] < 0.02 < by_modes[0]
    by_poles = [line["db_mae"] for line in lines if line.get("poles")]
    assert by_poles == sorted(by_poles, reverse=True)
    assert {line["yardstick"] for line in lines if "yardstick" in line} == {
        "mean curve",
        "nearest design",
        "rational fit of the truth (AAA)",
        "reduced model, nothing learned",
    }
    nets = [line for line in lines if "net" in line]
    assert [line["net"]["head"] for line in nets] == ["rlc", "db", "modal"]
    assert nets[0]["share_above_1"] == 0
    assert list(surrogate.run(**fields))[-3:] == nets


def test_the_nearest_design_of_a_training_design_is_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SIZE", 30)
    make_shards(DEFAULT, tmp_path, samples=30, fine=0, seed=0, say=lambda _: None)
    known = surrogate.read_samples(shard_paths(tmp_path, "coarse"), None)
    rows = np.arange(len(known))
    np.testing.assert_array_equal(surrogate._nearest(known, rows[5:9], rows), rows[5:9])


def test_without_shards_the_remedy_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"workers\.train antenna data"):
        list(
            surrogate.run(
                work=tmp_path,
                heads=[],
                trunks=[],
                samples=[],
                seeds=[],
                steps=1,
                ablations=False,
            )
        )


def test_picked_designs_meet_what_the_prediction_puts_first():
    rng = np.random.default_rng(0)
    truth = (0.9 * rng.random((200, 121))).astype(np.complex64)
    truth[3] = 0.1  # meets every specification
    perfect = surrogate.picked(truth, truth)
    assert perfect["specifications"] == len(ALL)
    assert perfect["met_in_1"] == perfect["met_in_16"] == len(ALL)
    misled = np.where(np.arange(200)[:, None] == 3, 0.99, truth).astype(np.complex64)
    assert surrogate.picked(misled, truth)["met_in_1"] < len(ALL)
    none = np.full_like(truth, 0.9)
    assert surrogate.picked(none, none)["specifications"] == 0
