"""Textbook formulas of a rectangular patch (Balanis, Antenna Theory, 4th ed., section 14.2)."""

from __future__ import annotations

import numpy as np

from solvers.field.board import C0, Board

_THICKEST = 0.9  # of k₀h in the slot's conductance, whose expansion holds for thin slabs


def effective_length_m(board: Board, *, length_m: float, width_m: float) -> float:
    """Return the half wave in air of a patch: its length with both fringing fields, times √ε_eff.

    Equations 14-1 to 14-4, with Hammerstad's extension of the edges.
    """
    effective, extension_m = _fringe(board, width_m)
    return float((length_m + 2 * extension_m) * np.sqrt(effective))


def patch_sides_m(board: Board, frequency_hz: float) -> tuple[float, float]:
    """Return length and width of a patch that resonates at a frequency (equations 14-6, 14-7)."""
    half_wave_m = C0 / (2 * frequency_hz)
    width_m = half_wave_m * np.sqrt(2 / (board.eps_r + 1))
    effective, extension_m = _fringe(board, width_m)
    length_m = half_wave_m / np.sqrt(effective) - 2 * extension_m
    return float(max(length_m, width_m / 10)), float(width_m)


def feed_inset_m(
    board: Board, frequency_hz: float, *, length_m: float, width_m: float, ohm: float
) -> float:
    """Return the distance from the edge at which a probe sees a resistance.

    The edge has 1/(2G) with the conductance G of one radiating slot (equation 14-8a), and it falls
    with cos² towards the centre (equation 14-20a). 0: the edge's is lower than `ohm`.
    """
    wavelength_m = C0 / frequency_hz
    thickness = min(2 * np.pi * board.height_m / wavelength_m, _THICKEST)
    slot_s = width_m / (120 * wavelength_m) * (1 - thickness**2 / 24)
    ratio = float(np.sqrt(min(1.0, 2 * slot_s * ohm)))
    return float(length_m / np.pi * np.arccos(ratio))


def _fringe(board: Board, width_m: float) -> tuple[float, float]:
    """Return the effective permittivity and the extension of each edge, metres."""
    eps_r, height_m = board.eps_r, board.height_m
    effective = (eps_r + 1) / 2
    effective += (eps_r - 1) / 2 / np.sqrt(1 + 12 * height_m / width_m)
    extension_m = 0.412 * height_m * (effective + 0.3) * (width_m / height_m + 0.264)
    extension_m /= (effective - 0.258) * (width_m / height_m + 0.8)
    return float(effective), float(extension_m)
