"""Jump process: HiGHS' feasibility jump on the unpresolved model, in the first seconds of a run."""

from __future__ import annotations

from search.domains.ilp.search.messages import Send, Work
from search.domains.ilp.search.slots import IncumbentSlot
from search.lns.structure import is_set_cover, is_set_packing
from solvers.feasibility import is_feasible
from solvers.highs import feasibility_jump
from solvers.types import Floats, MilpModel

JUMP_S = 4.0  # processor time
_MOST_NONZEROS = 600_000


def jump_applies(model: MilpModel) -> bool:
    """Return True for covers and packings: there the jump soon beats a construction at times."""
    return 0 < model.nnz <= _MOST_NONZEROS and (
        is_set_cover(model) or is_set_packing(model)
    )


def run_jump(model: MilpModel, *, slot: IncumbentSlot, seconds: float, seed: int) -> Work:
    """Return the work of the jump process. It does not end when the jump has ended: kill it."""

    def work(send: Send) -> None:
        def on_incumbent(objective: float, x: Floats) -> None:
            if objective < slot.objective and is_feasible(model, x):
                slot.put(objective, x)

        feasibility_jump(
            model, seconds=seconds, seed=seed % 2**31, on_incumbent=on_incumbent
        )

    return work
