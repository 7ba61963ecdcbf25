import pytest

pytest.importorskip("torch")

from cost_models.antenna.surrogate import Surrogate
from workers.bench.antenna import surrogate_ranks


def test_a_search_is_ranked_before_and_after_each_round(tmp_path):
    lines = list(
        surrogate_ranks.run(
            surrogate=Surrogate.shipped("antenna-duroid"),
            work=tmp_path,
            tasks=[5],
            designs=24,
            steps=1,
            seed=0,
        )
    )
    one, mean = lines
    assert one["designs"] >= 24
    for name in ("rank_0", "rank_1", "rank_2"):
        assert -1 <= one[name] <= 1
        assert mean[name] == pytest.approx(one[name])
    # On designs that it has not seen, near the truth and not equal to it.
    assert 0.001 < one["complex_0"] < 0.4
