import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cost_models.antenna.heads import Head
from cost_models.antenna.nets import Trunk
from cost_models.antenna.surrogate import (
    Surrogate,
    SurrogateRefused,
    find,
    renormalised,
    shipped,
)
from tests.cost_models.antenna.conftest import BOARD, designs, small

FREQUENCIES = np.linspace(2e9, 8e9, 25)


@pytest.mark.parametrize("trunk", Trunk)
@pytest.mark.parametrize("head", [Head.MODAL, Head.RLC, Head.CZPS, Head.DIRECT])
def test_file_round_trip_gives_the_same_predictions(head, trunk, tmp_path):
    made = small(head, trunk)
    path = tmp_path / "own.safetensors"
    path.write_bytes(made.to_bytes())
    read = Surrogate.load(path)
    masks, feeds = designs(11)
    np.testing.assert_array_equal(
        made.predict(masks, feeds, FREQUENCIES), read.predict(masks, feeds, FREQUENCIES)
    )
    assert read.facts == made.facts
    assert (read.anchors == made.anchors).all()
    assert (
        hashlib.sha256(read.to_bytes()).digest()
        == hashlib.sha256(made.to_bytes()).digest()
    )


@pytest.mark.parametrize("head", [Head.MODAL, Head.RLC])
def test_predictions_do_not_depend_on_the_batch_they_are_in(head):
    made, (masks, feeds) = small(head), designs(19)
    together = made.predict(masks, feeds, FREQUENCIES)
    alone = made.predict(masks[17:18], feeds[17:18], FREQUENCIES)
    assert together.shape == (19, 25)
    np.testing.assert_allclose(together[17:18], alone, atol=2e-5)


@pytest.mark.parametrize("head", [Head.MODAL, Head.RLC])
def test_several_feeds_of_a_design_at_once(head):
    made, (masks, _) = small(head), designs(3)
    rng = np.random.default_rng(2)
    feeds = np.array([rng.permutation(np.argwhere(mask))[:5] for mask in masks])
    every = made.predict(masks, feeds, FREQUENCIES)
    assert every.shape == (3, 5, 25)
    one = made.predict(masks, feeds[:, 3], FREQUENCIES)
    np.testing.assert_allclose(every[:, 3], one, atol=2e-5)


def test_no_designs_is_no_error_to_shape_checks():
    made = small()
    with pytest.raises(ValueError, match="masks: expected shape"):
        made.predict(np.zeros((2, 5, 6), bool), np.zeros((2, 2), int), FREQUENCIES)
    with pytest.raises(ValueError, match="feeds: expected two numbers"):
        made.predict(np.zeros((2, 6, 6), bool), np.zeros((1, 2), int), FREQUENCIES)
    with pytest.raises(ValueError, match="feeds: expected cells from 0 to 5"):
        made.predict(np.zeros((1, 6, 6), bool), np.array([[0, 6]]), FREQUENCIES)


@pytest.mark.parametrize("frequency", [1.9e9, 8.1e9, 2.4, np.nan])
def test_extrapolation_is_refused(frequency):
    masks, feeds = designs(1)
    with pytest.raises(ValueError, match="training range"):
        small().predict(masks, feeds, np.array([3e9, frequency]))


def test_rlc_is_passive_whatever_its_weights():
    masks, feeds = designs(8)
    for seed in range(5):
        s11 = small(spread=1.0, seed=seed).predict(masks, feeds, FREQUENCIES)
        assert np.abs(s11).max() <= 1 + 1e-5


def test_reference_impedance_is_an_exact_change():
    masks, feeds = designs(4)
    made = small()
    at_50 = made.predict(masks, feeds, FREQUENCIES)
    z = 50 * (1 + at_50) / (1 - at_50)
    at_75 = made.predict(masks, feeds, FREQUENCIES, z0_ohm=75.0)
    np.testing.assert_allclose(at_75, (z - 75) / (z + 75), atol=1e-6)
    np.testing.assert_allclose(renormalised(at_75, 75, 50), at_50, atol=1e-6)


def worst_level(s11: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A smooth loss: mean |S11|², whose gradient by S11 is 2·S11/f."""
    return (np.abs(s11) ** 2).mean(axis=1), 2 * s11 / s11.shape[1]


@pytest.mark.parametrize("trunk", [Trunk.CNN, Trunk.MLP])
@pytest.mark.parametrize("head", [Head.MODAL, Head.RLC, Head.PR])
def test_gradient_is_that_of_finite_differences(head, trunk):
    made = small(head, trunk)
    rng = np.random.default_rng(4)
    metal, feeds = rng.uniform(0.2, 1, (10, 6, 6)), rng.integers(0, 6, (10, 2))
    losses, slopes = made.gradient(metal, feeds, FREQUENCIES, worst_level)
    assert losses.shape == (10,)
    assert slopes.shape == (10, 6, 6)
    largest = np.abs(slopes).max()
    for k, i, j in ((0, 2, 3), (9, 1, 4), (3, 5, 0)):
        up, down = metal.copy(), metal.copy()
        up[k, i, j] += 5e-3
        down[k, i, j] -= 5e-3
        difference = (
            made.gradient(up, feeds, FREQUENCIES, worst_level)[0][k]
            - made.gradient(down, feeds, FREQUENCIES, worst_level)[0][k]
        ) / 1e-2
        assert slopes[k, i, j] == pytest.approx(difference, abs=0.05 * largest)


@pytest.mark.parametrize("head", [Head.MODAL, Head.RLC])
def test_following_the_gradient_lowers_the_loss(head):
    made = small(head)
    rng = np.random.default_rng(5)
    metal, feeds = rng.uniform(0.3, 0.7, (4, 6, 6)), rng.integers(0, 6, (4, 2))
    before, slopes = made.gradient(metal, feeds, FREQUENCIES, worst_level)
    moved = metal - 0.02 * slopes / np.abs(slopes).max(axis=(1, 2), keepdims=True)
    after, _ = made.gradient(moved, feeds, FREQUENCIES, worst_level)
    assert (after < before).all()


@pytest.mark.parametrize(("head", "apart"), [(Head.MODAL, 0.25), (Head.RLC, 0.12)])
def test_refined_copy_learns_new_designs_and_keeps_the_anchors(head, apart):
    made, teacher = small(head, spread=0.05), small(head, spread=apart, seed=3)
    masks, feeds = designs(6, seed=9)
    truth = teacher.predict(masks, feeds, FREQUENCIES)
    before_weights = {name: value.copy() for name, value in made.weights.items()}
    refined = made.refined(
        masks, feeds, truth, FREQUENCIES, rng=np.random.default_rng(0), steps=120
    )

    def error(of: Surrogate) -> float:
        return float(np.abs(of.predict(masks, feeds, FREQUENCIES) - truth).mean())

    assert error(refined) < 0.7 * error(made)
    anchors = made.anchors, made.anchor_feeds, FREQUENCIES
    drift = np.abs(refined.predict(*anchors) - made.predict(*anchors)).mean()
    assert drift < 0.5 * np.abs(teacher.predict(*anchors) - made.predict(*anchors)).mean()
    assert refined.facts.refinements == 1
    for name, value in before_weights.items():
        np.testing.assert_array_equal(made.weights[name], value)


def test_refinement_is_deterministic_and_checks_its_labels():
    made, (masks, feeds) = small(), designs(3)
    truth = np.full((3, 25), 0.5 + 0j)
    copies = [
        made.refined(
            masks, feeds, truth, FREQUENCIES, rng=np.random.default_rng(1), steps=3
        )
        for _ in range(2)
    ]
    for name, value in copies[0].weights.items():
        np.testing.assert_array_equal(value, copies[1].weights[name])
    with pytest.raises(ValueError, match="s11"):
        made.refined(
            masks, feeds, truth * np.nan, FREQUENCIES, rng=np.random.default_rng(1)
        )


def test_refinement_respects_its_time():
    made, (masks, feeds) = small(), designs(3)
    truth = np.full((3, 25), 0.5 + 0j)
    same = made.refined(
        masks, feeds, truth, FREQUENCIES, rng=np.random.default_rng(1), seconds=0.0
    )
    np.testing.assert_array_equal(
        same.predict(masks, feeds, FREQUENCIES), made.predict(masks, feeds, FREQUENCIES)
    )


def test_files_that_are_no_surrogate_are_refused(tmp_path):
    path = tmp_path / "bad.safetensors"
    for content in (b"", b"not a file", small().to_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(SurrogateRefused, match=r"bad\.safetensors"):
            Surrogate.load(path)
    made = small()
    lacking = {name: value for name, value in made.weights.items() if name != "head"}
    path.write_bytes(replace(made, weights=lacking).to_bytes())
    with pytest.raises(SurrogateRefused, match="head"):
        Surrogate.load(path)
    broken = dict(made.weights)
    broken["head"] = np.full_like(broken["head"], np.nan)
    path.write_bytes(replace(made, weights=broken).to_bytes())
    with pytest.raises(SurrogateRefused, match="finite"):
        Surrogate.load(path)


def test_tables_that_are_no_board_are_refused(tmp_path):
    made, path = small(Head.MODAL), tmp_path / "bad.safetensors"
    good = vars(made.tables)
    for name, value, message in (
        ("scalar", good["scalar"][:, :3, :3], "6 cells"),
        ("scalar", good["scalar"][0], "6 cells"),
        ("scalar", -good["scalar"], "positive energies"),
        ("port", good["port"] * np.nan, "finite"),
    ):
        tables = replace(made.tables, **{name: value})
        path.write_bytes(replace(made, tables=tables).to_bytes())
        with pytest.raises(SurrogateRefused, match=message):
            Surrogate.load(path)
    for modes in (0, 65):
        facts = replace(made.facts, poles=modes)
        path.write_bytes(replace(made, facts=facts).to_bytes())
        with pytest.raises(SurrogateRefused, match="modes"):
            Surrogate.load(path)


def test_the_shipped_surrogate_covers_the_default_board():
    wanted = replace(BOARD, cells=(12, 12), feed=(3, 6), f_min_hz=5.15e9, f_max_hz=5.35e9)
    surrogate, name = find(wanted)
    assert surrogate is not None
    assert name in shipped()
    assert surrogate.facts.errors["coarse_complex_mae"] < 0.05
    none, why = find(replace(wanted, eps_r=4.4))
    assert none is None
    assert "eps_r" in why
