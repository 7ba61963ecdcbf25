"""The second solver, openEMS: its model of a design, its response, and its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search import engine_log
from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.verify.verdicts import BandVerdict, Verdict, judge
from solvers.field.openems.document import Simulation
from solvers.field.openems.mesh import MeshSettings, layers_of
from solvers.field.openems.pixels import port_inductance_h, simulation
from solvers.field.openems.probes import impedance
from solvers.field.openems.process import TO_INSTALL, OpenEmsFailed, OpenEmsMissing, run

NOT_CHECKED = "not checked by a second solver"
_AIR_MM = 20.0
_EDGE_OF_CELL = 1 / 12  # distance of the mesh lines at an edge
_LEAST_S = 2.0  # a run of less time ends nowhere
_MOST_S = 600.0


@dataclass(frozen=True, kw_only=True)
class SecondOpinion:
    """Result of the second solver on one design."""

    verdict: str  # a Verdict, or NOT_CHECKED
    detail: str
    bands: tuple[BandVerdict, ...] = ()
    frequencies_hz: NDArray[np.float64] | None = None
    s11: NDArray[np.complex128] | None = None
    seconds: float = 0.0
    cells: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the opinion as JSON values."""
        return {
            "verdict": self.verdict,
            "detail": self.detail,
            "bands": [band.to_json() for band in self.bands],
            "seconds": round(self.seconds, 1),
            "mesh_cells": self.cells,
        }


class Opinions:
    """The second solver of one run. A design is simulated once, for search and check alike.

    Opinions are made here alone, and cannot be changed: the search may ask for them, and the check
    judges by the same ones.
    """

    def __init__(self) -> None:
        self._made: dict[bytes, SecondOpinion] = {}
        self._failed: dict[bytes, SecondOpinion] = {}

    def __call__(
        self,
        problem: AntennaProblem,
        design: Design,
        *,
        left_s: float,
        stopped: Callable[[], bool],
    ) -> SecondOpinion:
        """Return `second_opinion`, from memory where the design was simulated before."""
        made = self._made.get(design.key)
        if made is None:
            made = second_opinion(problem, design, left_s=left_s, stopped=stopped)
            if made.verdict == NOT_CHECKED:
                # A later try without time says less than the first one's end.
                return self._failed.setdefault(design.key, made)
            for array in (made.frequencies_hz, made.s11):
                if array is not None:
                    array.setflags(write=False)
            self._made[design.key] = made
        return made


def simulation_of(problem: AntennaProblem, design: Design) -> Simulation:
    """Return the openEMS model of a design: a finite board, sheets corrected at their edges."""
    spec = problem.spec
    return simulation(
        problem.board,
        problem.grid,
        design.mask,
        port=design.feed,
        vias=design.vias,
        band_hz=problem.range_hz,
        port_ohm=spec.z0_ohm,
        mesh=MeshSettings(
            edge_mm=spec.grid.cell_mm * _EDGE_OF_CELL,
            slab_layers=layers_of(spec.board.height_mm, spec.grid.cell_mm),
            board_margin_mm=spec.margin_mm,
            air_mm=min(_AIR_MM, spec.longest_mm / 2),
        ),
    )


def second_opinion(
    problem: AntennaProblem,
    design: Design,
    *,
    left_s: float,
    stopped: Callable[[], bool],
) -> SecondOpinion:
    """Solve a design by openEMS and judge its bands. Never raises for openEMS' own failures.

    The port's impedance is corrected by the analytic inductance between the two definitions of its
    voltage; nothing is fitted.
    """
    if left_s < _LEAST_S or stopped():
        return _not_checked("no time was left for openEMS; give the job more seconds")
    try:
        done = run(
            simulation_of(problem, design),
            workdir=problem.workdir,
            limit_s=min(left_s, _MOST_S),
            stopped=stopped,
            on_output=engine_log.write,
        )
    except OpenEmsMissing:
        return _not_checked(f"openEMS is not installed on the server. {TO_INSTALL}")
    except OpenEmsFailed as error:
        remedy = "; give the job more seconds" if "time limit" in str(error) else ""
        return _not_checked(f"{error}{remedy}")
    if done is None:
        return _not_checked("the job ended before openEMS did; give it more seconds")
    inductance, reference = port_inductance_h(problem.board), problem.spec.z0_ohm

    def response(frequencies_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        z = impedance(done.voltage, done.current, frequencies_hz)
        z = z - 2j * np.pi * frequencies_hz * inductance
        return np.asarray((z - reference) / (z + reference))

    bands = tuple(judge(problem.spec, response))
    frequencies = np.linspace(*problem.range_hz, 201)
    return SecondOpinion(
        verdict=_overall(bands),
        detail="openEMS, finite board, port corrected by its analytic inductance",
        bands=bands,
        frequencies_hz=frequencies,
        s11=response(frequencies),
        seconds=done.seconds,
        cells=done.cells,
    )


def _not_checked(detail: str) -> SecondOpinion:
    return SecondOpinion(verdict=NOT_CHECKED, detail=detail)


def _overall(bands: tuple[BandVerdict, ...]) -> str:
    verdicts = {band.verdict for band in bands}
    for verdict in (Verdict.FAIL, Verdict.SHIFTED):
        if verdict in verdicts:
            return verdict.value
    return Verdict.PASS.value
