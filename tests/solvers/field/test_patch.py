import numpy as np
import pytest

from solvers.field.board import C0, Board
from solvers.field.patch import effective_length_m, feed_inset_m, patch_sides_m

DUROID = Board(eps_r=2.2, tan_d=0.0, height_m=1.588e-3)


def test_a_textbook_example() -> None:
    """Balanis, 4th ed., example 14.1: 10 GHz on 1.588 mm of permittivity 2.2, 11.86 x 9.06 mm."""
    length, width = patch_sides_m(DUROID, 10e9)
    assert width == pytest.approx(11.86e-3, rel=1e-3)
    assert length == pytest.approx(9.06e-3, rel=2e-3)


@pytest.mark.parametrize("frequency_hz", [0.433e9, 2.45e9, 10e9])
def test_a_patch_resonates_where_it_was_made_for(frequency_hz: float) -> None:
    length, width = patch_sides_m(DUROID, frequency_hz)
    half_wave = effective_length_m(DUROID, length_m=length, width_m=width)
    assert C0 / (2 * half_wave) == pytest.approx(frequency_hz)


def test_the_feed_moves_inwards_for_a_lower_resistance() -> None:
    length, width = patch_sides_m(DUROID, 10e9)
    insets = [
        feed_inset_m(DUROID, 10e9, length_m=length, width_m=width, ohm=ohm)
        for ohm in (10.0, 50.0, 150.0, 1e4)
    ]
    assert insets[:3] == sorted(insets[:3], reverse=True)
    assert insets[0] < length / 2
    assert insets[-1] == 0
    assert np.isfinite(insets).all()
