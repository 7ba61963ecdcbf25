"""Jump process."""

from __future__ import annotations

import numpy as np

from search.domains.ilp.search.jump_process import jump_applies, run_jump
from search.domains.ilp.search.slots import IncumbentSlot
from search.isolation import NativeProcess
from solvers.feasibility import is_feasible
from tests.search.models import milp, random_cover
from workers.corpus import integer_programs


def test_the_jump_finds_a_good_packing_before_any_lp() -> None:
    model = integer_programs.generate("independent-set", "1/5", 501)
    slot = IncumbentSlot(model.n)
    work = run_jump(model, slot=slot, seconds=2.0, seed=0)
    process = NativeProcess("jump", lambda say: work(lambda message: None))
    while process.alive:
        pass
    process.raise_for_end()
    process.close()
    better = slot.better_than(0.0)
    assert better is not None
    assert is_feasible(model, better[1])
    assert better[0] == model.objective(better[1]) < -390


def test_where_the_jump_is_tried() -> None:
    assert jump_applies(random_cover(9, 13, 1))
    assert jump_applies(milp([-1, -1], [(-np.inf, [1, 1], 1)]))
    assert not jump_applies(milp([1, 1], [(1, [1, 1], 1)])), (
        "partitioning: the LP knows better"
    )
    assert not jump_applies(milp([1, 1], [(2, [1, 3], np.inf)]))
    assert not jump_applies(milp([1, 1], [])), "nothing to keep"
