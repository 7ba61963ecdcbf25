"""Patches of known resonance: canonical ones within 3 % of cavity theory by both solvers."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from workers.bench.antenna import patches
from workers.bench.antenna.patches import CANONICAL, PUBLISHED, run


def test_cavity_theory_gives_the_textbook_example() -> None:
    """Balanis, example 14.1: 11.86 x 9.06 mm on 1.588 mm of ε_r 2.2 resonates at 10 GHz."""
    patch = replace(
        CANONICAL[0], eps_r=2.2, height_mm=1.588, cell_mm=0.02, length=453, width=593
    )
    assert patch.cavity_hz == pytest.approx(10e9, rel=2e-3)


def test_published_patches_are_cited_and_near_cavity_theory() -> None:
    for patch in PUBLISHED:
        assert patch.source
        assert patch.published_hz == pytest.approx(patch.cavity_hz, rel=0.12)


def test_without_openems_the_first_solver_alone_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIMTAB_OPENEMS", "/nonexistent/openEMS")
    monkeypatch.setattr(
        patches, "_by_moments", lambda patch, expected_hz: {"moments_hz": expected_hz}
    )
    (line,) = run([CANONICAL[3]])
    assert line["moments_hz"] == line["cavity_hz"]
    assert "no openEMS" in line["openems"]
    assert "openems_hz" not in line


def test_both_solvers_are_within_3_percent_of_cavity_theory() -> None:
    (line,) = run([CANONICAL[3]])
    assert line["moments_hz"] == pytest.approx(line["cavity_hz"], rel=0.03)
    if shutil.which("openEMS") is None:
        pytest.skip("openEMS is not installed: moments alone")
    assert line["openems_hz"] == pytest.approx(line["cavity_hz"], rel=0.03)
    assert line["moments_hz"] == pytest.approx(line["openems_hz"], rel=0.01)
