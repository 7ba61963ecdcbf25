from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import C0, EPS0, Board, Grid
from solvers.field.moments import (
    MomentMethod,
    TooManyUnknowns,
    antenna,
    refined_antenna,
    reflection,
)
from solvers.field.tables import compute_tables
from tests.solvers.field.boards import BOARD, FEED, LOSSLESS, random_mask, tables


@pytest.mark.parametrize("seed", range(6))
def test_matrix_is_symmetric(seed: int) -> None:
    method = MomentMethod(tables(), antenna(random_mask(seed), [FEED], [(4, 5)]))
    z = method.matrix(7)
    assert np.abs(z - z.T).max() < 1e-12 * np.abs(z).max()


@pytest.mark.parametrize("seed", range(12))
def test_antennas_are_passive(seed: int) -> None:
    method = MomentMethod(tables(), antenna(random_mask(seed), [FEED]))
    for index in range(0, 31, 3):
        impedance = method.input_impedance(index)
        assert impedance.real > 0
        assert abs(reflection(impedance)) < 1


def test_place_on_the_grid_does_not_matter() -> None:
    """Slab and ground are infinite: a moved antenna is the same antenna."""
    small = random_mask(3)[:9, :9]
    small[3, 6] = True
    impedances = []
    for di, dj in ((0, 0), (3, 0), (1, 2), (3, 3)):
        mask = np.zeros((12, 12), bool)
        mask[di : di + 9, dj : dj + 9] = small
        method = MomentMethod(tables(), antenna(mask, [(3 + di, 6 + dj)]))
        impedances.append(method.input_impedance(11))
    assert np.ptp(np.abs(impedances)) < 1e-9 * abs(impedances[0])


def test_mirrored_and_turned_antennas_are_the_same() -> None:
    mask = random_mask(4)
    reference = MomentMethod(tables(), antenna(mask, [FEED])).input_impedance(9)
    turned = MomentMethod(tables(), antenna(mask.T, [FEED[::-1]])).input_impedance(9)
    mirrored = MomentMethod(tables(), antenna(mask[::-1], [(11 - FEED[0], FEED[1])]))
    assert turned == pytest.approx(reference, rel=1e-9)
    assert mirrored.input_impedance(9) == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize("index", [0, 9, 24])
def test_two_ports_are_reciprocal(index: int) -> None:
    """The short-circuit current at port 2 for 1 V at port 1 is that at port 1 for 1 V at port 2."""
    mask, other = random_mask(5), (4, 4)
    mask[other] = True
    forward = MomentMethod(tables(), antenna(mask, [FEED], [other])).currents(index)[-1]
    backward = MomentMethod(tables(), antenna(mask, [other], [FEED])).currents(index)[-1]
    assert forward == pytest.approx(backward, rel=1e-9)


def test_low_frequency_input_is_the_plate_capacitor() -> None:
    """32 × 40 mm on ε_r 3.38: −63.3 Ω at 0.1 GHz without fringing, 10 to 15 % less with it."""
    board = Board(eps_r=3.38, tan_d=0.0, height_m=1.524e-3)
    fields = compute_tables(board, Grid(cells=20, cell_m=2e-3), np.array([1e8]))
    mask = np.ones((16, 20), bool)
    method = MomentMethod(fields, antenna(mask, [(5, 10)]))
    plate = -1 / (2 * np.pi * 1e8 * EPS0 * 3.38 * 0.032 * 0.040 / 1.524e-3)
    assert 0.85 < method.input_impedance(0).imag / plate < 0.90


@pytest.mark.parametrize(
    ("eps_r", "height_mm", "length_mm", "width_mm"),
    [(3.38, 1.524, 32, 40), (2.2, 1.6, 36, 44), (4.4, 1.6, 28, 36), (2.2, 0.8, 24, 32)],
)
def test_patch_resonates_where_cavity_theory_says(
    eps_r: float, height_mm: float, length_mm: int, width_mm: int
) -> None:
    """TM₁₀ of the cavity model, with Hammerstad's edge extension (Balanis, section 14.2)."""
    h, width, length = height_mm * 1e-3, width_mm * 1e-3, length_mm * 1e-3
    effective = (eps_r + 1) / 2 + (eps_r - 1) / 2 / np.sqrt(1 + 12 * h / width)
    extension = 0.412 * h * (effective + 0.3) * (width / h + 0.264)
    extension /= (effective - 0.258) * (width / h + 0.8)
    expected = C0 / (2 * (length + 2 * extension) * np.sqrt(effective))
    frequencies = expected * np.linspace(0.94, 1.06, 13)
    cell = 2e-3
    cells = int(width / cell + 0.5)
    fields = compute_tables(
        Board(eps_r=eps_r, tan_d=1e-3, height_m=h),
        Grid(cells=cells, cell_m=cell),
        frequencies,
    )
    mask = np.ones((int(length / cell + 0.5), cells), bool)
    feed = (int(0.3 * mask.shape[0]), cells // 2)
    method = MomentMethod(fields, antenna(mask, [feed]))
    resistance = [method.input_impedance(index).real for index in range(13)]
    assert 0 < int(np.argmax(resistance)) < 12, "a peak inside ±6 %"
    assert frequencies[int(np.argmax(resistance))] == pytest.approx(expected, rel=0.03)


def test_refinement_converges() -> None:
    coarse = tables(count=7)
    fine = compute_tables(BOARD, coarse.grid.refined(2), coarse.frequencies_hz)
    differences = []
    for seed in range(3):
        mask = random_mask(seed)
        one = MomentMethod(coarse, antenna(mask, [FEED]))
        two = MomentMethod(fine, refined_antenna(mask, FEED, factor=2))
        differences += [
            abs(reflection(one.input_impedance(k)) - reflection(two.input_impedance(k)))
            for k in range(7)
        ]
    assert np.mean(differences) < 0.06


def test_the_port_of_a_finer_grid_stays_one_post_of_uniform_current() -> None:
    coarse = tables(count=5)
    mask = random_mask(2)
    responses = {}
    for factor in (1, 2, 3):
        grid = coarse.grid.refined(factor)
        built = refined_antenna(mask, FEED, factor=factor)
        method = MomentMethod(compute_tables(BOARD, grid, coarse.frequencies_hz), built)
        currents = method.currents(0)
        first = built.unknowns - len(built.posts)
        port = currents[first : first + factor**2]
        assert port == pytest.approx(np.full(factor**2, port.mean()))
        volts = method.matrix(0) @ currents
        assert volts[first : first + factor**2].mean() == pytest.approx(1)
        assert np.abs(volts[:first]).max() < 1e-9
        responses[factor] = np.array(
            [reflection(method.input_impedance(k)) for k in range(5)]
        )
    first_step = np.abs(responses[2] - responses[1]).mean()
    second_step = np.abs(responses[3] - responses[2]).mean()
    assert second_step < 0.6 * first_step


def test_loss_lowers_the_reflection_of_a_short_circuit() -> None:
    """A port beside a via: nearly all power returns, less so with loss."""
    mask = random_mask(0)
    with_loss = MomentMethod(tables(), antenna(mask, [FEED], [(3, 5)])).input_impedance(0)
    without = MomentMethod(
        tables(LOSSLESS), antenna(mask, [FEED], [(3, 5)])
    ).input_impedance(0)
    assert abs(reflection(with_loss)) < abs(reflection(without)) < 1


@pytest.mark.parametrize(
    ("port", "vias", "message"),
    [
        ([], [], "port: expected at least one"),
        ([(0, 0)], [], "on the metal"),
        ([(40, 0)], [], "on the metal"),
        ([(-1, 3)], [], "on the metal"),
        ([FEED], [FEED], "one twice"),
    ],
)
def test_refuses_bad_posts(
    port: list[tuple[int, int]], vias: list[tuple[int, int]], message: str
) -> None:
    mask = np.zeros((12, 12), bool)
    mask[2:5, 5:8] = True
    with pytest.raises(ValueError, match=message):
        antenna(mask, port, vias)


def test_refuses_more_unknowns_than_it_can_solve() -> None:
    with pytest.raises(TooManyUnknowns, match="at most 3,000"):
        antenna(np.ones((64, 64), bool), [(1, 1)])


@pytest.mark.parametrize(("scale", "eps_r"), [(1e-2, 10.2), (0.1, 2.2), (10.0, 1.0)])
def test_maxwells_equations_have_no_scale(scale: float, eps_r: float) -> None:
    """All lengths times s and all frequencies over s: the same S11, without conductor loss."""
    mask = random_mask(1)
    responses = []
    for s in (1.0, scale):
        board = Board(eps_r=eps_r, tan_d=1e-3, height_m=s * 2e-3, conductivity_s_m=0.0)
        grid = Grid(cells=12, cell_m=s * 2e-3)
        fields = compute_tables(board, grid, np.linspace(2e9, 7e9, 4) / s)
        method = MomentMethod(fields, antenna(mask, [FEED]))
        responses.append([reflection(method.input_impedance(k)) for k in range(4)])
    assert responses[1] == pytest.approx(responses[0], abs=2e-4)
    assert np.abs(responses).max() < 1
