"""Reward spaces: divisors against CompilerGym's definitions."""

from __future__ import annotations

import pytest

from solvers.llvm.environment.rewards import SIZES, SPACES, reward_space

SIZE = {
    "IrInstructionCountO0": 200,
    "IrInstructionCountO3": 220,
    "IrInstructionCountOz": 120,
}


@pytest.mark.parametrize(
    ("name", "divisor"),
    [
        ("IrInstructionCount", 1.0),
        ("IrInstructionCountNorm", 200.0),
        ("IrInstructionCountOz", 80.0),
        (
            "IrInstructionCountO3",
            1.0,
        ),  # -O3 is larger than the input: no negative divisor
    ],
)
def test_a_saving_is_divided_by_that_of_the_baseline(name: str, divisor: float) -> None:
    assert reward_space(name).scale(SIZE.__getitem__) == divisor


def test_an_empty_module_divides_by_one() -> None:
    assert reward_space("ObjectTextSizeBytesNorm").scale(lambda name: 0) == 1.0


def test_every_size_has_all_spaces() -> None:
    assert len(SPACES) == 4 * len(SIZES)
    with pytest.raises(
        ValueError, match=r"expected one of IrInstructionCount, .*, got 'Speed'"
    ):
        reward_space("Speed")
