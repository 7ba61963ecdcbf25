import numpy as np
import pytest

from workers.train.antenna.figures import band_scores, decibel, errors, rank_correlations

FREQUENCIES = np.linspace(2e9, 8e9, 121)


def test_errors_of_equal_and_of_shifted_curves():
    truth = np.full((2, 121), 0.5 + 0.1j)
    assert errors(truth, truth) == {"db_mae": 0, "complex_mae": 0, "share_above_1": 0}
    found = errors(truth + 0.2j, truth)
    assert found["complex_mae"] == pytest.approx(0.2)
    assert errors(truth * 3, truth)["share_above_1"] == 1
    logs = errors(np.log(np.abs(truth)), truth)
    assert logs["db_mae"] == pytest.approx(0, abs=1e-9)
    assert "complex_mae" not in logs


def test_a_perfect_match_is_cut_at_the_floor():
    assert decibel(np.zeros((1, 1), complex))[0, 0] == pytest.approx(-26.02, abs=0.01)


def test_band_score_is_the_worst_level_in_all_bands_with_interpolated_edges():
    level = np.tile(np.linspace(-20, 0, 121), (1, 1))
    assert band_scores(level, FREQUENCIES, ((2.0, 5.0),))[0] == pytest.approx(-10)
    assert band_scores(level, FREQUENCIES, ((2.0, 5.0), (7.0, 7.01)))[0] == pytest.approx(
        -20 + 20 * 5.01 / 6
    )
    assert band_scores(level, FREQUENCIES, ((2.012, 2.018),))[0] == pytest.approx(-19.94)


def test_rank_correlation_sees_order_only():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.9, (30, 1)) * np.ones(121) + 0j
    tasks = {0: ((3.0, 3.5),), 4: ((4.0, 5.0), (6.0, 6.1))}
    assert rank_correlations(truth**2, truth, FREQUENCIES, tasks) == pytest.approx(
        {0: 1.0, 4: 1.0}
    )
    assert rank_correlations(1.1 - truth, truth, FREQUENCIES, tasks)[0] == pytest.approx(
        -1
    )
