"""Out-of-distribution check of graphs."""

from __future__ import annotations

import pytest

from cost_models.weights import load_weights
from gnn.policies.out_of_distribution import MARGIN, strangeness
from search.lns.features import GraphBuilder
from solvers.relaxation import Relaxation
from workers.corpus import integer_programs


@pytest.mark.parametrize("family", list(integer_programs.FAMILIES))
def test_held_out_instances_of_five_times_the_size_are_at_home(family: str) -> None:
    if family == "auction":
        pytest.skip("its root LP takes seconds; measured in the bench")
    model = integer_programs.generate(family, "S", 900)
    builder = GraphBuilder(model, Relaxation(model).root())
    assert strangeness(builder.summary(), load_weights("cl-lns")) < MARGIN
