import pytest

pytest.importorskip("torch")

from cost_models.antenna.surrogate import Surrogate
from workers.bench.antenna import surrogate_rates


def test_rates_of_both_meshes_and_of_the_surrogate():
    lines = list(
        surrogate_rates.run(
            surrogate=Surrogate.shipped("antenna-duroid"), designs=2, seed=0
        )
    )
    meshes = [line["mesh"] for line in lines]
    assert meshes[:4] == ["coarse", "coarse", "fine", "fine"]
    rate = {(line["mesh"], line.get("feeds")): line["sweeps_a_cpu_s"] for line in lines}
    assert rate["coarse", 1] > rate["fine", 1] > 0
