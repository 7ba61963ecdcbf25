"""Families of mixed-integer programs: sizes, seeds, regimes, feasibility and the written file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.read import ReadLimits, read_model
from solvers.types import MilpModel, SolveParams
from workers.corpus.mixed_programs import FAMILIES, REGIMES, generate
from workers.corpus.mixed_programs.assignments import generalised_assignment
from workers.corpus.mixed_programs.networks import network_design
from workers.corpus.mps import write_mps

ARRAYS = ("c", "col_upper", "integrality", "indices", "data", "row_lower", "row_upper")
# Columns, binary columns, rows and nonzeros at size S.
SIZE_S = {
    "facility-location": (12_060, 12_060, 12_261, 48_120),
    "generalised-assignment": (16_000, 16_000, 440, 32_000),
    "lot-sizing": (10_860, 3_600, 7_260, 25_200),
    "network-design": (14_090, 230, 15_230, 69_350),
    "item-placement": (1_083, 1_050, 195, 7_440),
}


def same(one: MilpModel, other: MilpModel, *names: str) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("regime", REGIMES)
def test_instances_are_feasible_and_seeds_repeat(family: str, regime: str) -> None:
    model = generate(family, 1, size="tiny", regime=regime)
    again = generate(family, 1, size="tiny", regime=regime)
    other = generate(family, 2, size="tiny", regime=regime)
    assert same(model, again, *ARRAYS)
    assert not same(model, other, "data", "row_lower", "row_upper", "c")
    found = HighsSolver().solve(model, SolveParams(time_limit_s=5, relative_gap=0.1))
    assert found.x is not None
    assert is_feasible(model, found.x)


@pytest.mark.parametrize("family", SIZE_S)
def test_size_s_has_the_published_counts(family: str) -> None:
    model = generate(family, 1)
    counts = (model.n, int(model.integrality.sum()), model.m, model.nnz)
    assert counts == SIZE_S[family]


def test_unit_commitment_has_the_published_counts_of_columns_and_rows() -> None:
    model = generate("unit-commitment", 1)
    assert (model.n, int(model.integrality.sum()), model.m) == (24_048, 14_400, 33_396)


def test_a_recurring_instance_keeps_network_plant_and_costs() -> None:
    def pair(family: str) -> tuple[MilpModel, MilpModel]:
        one, two = (generate(family, s, size="tiny", regime="recurring") for s in (1, 2))
        return one, two

    one, two = pair("unit-commitment")
    assert same(one, two, "c", "col_upper", "indptr", "indices", "data")
    one, two = pair("network-design")
    assert same(one, two, "c", "indptr", "indices")
    one, two = pair("lot-sizing")
    assert same(one, two, "c")
    assert (one.row_upper[-8:] == two.row_upper[-8:]).all()  # capacity
    one, two = pair("generalised-assignment")
    assert same(one, two, "c", "row_upper")
    one, two = pair("facility-location")
    assert (one.c[-5:] == two.c[-5:]).all()  # fixed costs
    # Costs of a customer stay in proportion: its demand alone is new.
    first, second = (model.c[:60].reshape(12, 5) for model in (one, two))
    shares = [costs / costs.sum(axis=1, keepdims=True) for costs in (first, second)]
    assert np.allclose(*shares, atol=1e-6)
    one, two = pair("item-placement")
    assert same(one, two, "c", "row_upper")


def test_a_fresh_instance_changes_the_plant() -> None:
    one, two = (generate("unit-commitment", s, size="tiny") for s in (1, 2))
    assert not same(one, two, "c")


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="regime: expected one of fresh, recurring"):
        generate("lot-sizing", 1, regime="weekly")
    with pytest.raises(ValueError, match="kind: expected d or e, got 'f'"):
        generalised_assignment(agents=2, jobs=3, kind="f", plant=rng)
    with pytest.raises(ValueError, match="arcs: expected 4 to 12 for 4 nodes, got 13"):
        network_design(nodes=4, arcs=13, commodities=2, plant=rng)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_written_file_is_the_model(family: str, tmp_path: Path) -> None:
    model = generate(family, 3, size="tiny", regime="recurring")
    write_mps(model, tmp_path / "model.mps")
    again = read_model(tmp_path / "model.mps", limits=ReadLimits(compared_bytes=0))
    assert same(model, again, "c", "col_upper", "integrality", "row_lower", "row_upper")
    assert (model.matrix != again.matrix).nnz == 0
