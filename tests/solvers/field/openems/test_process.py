from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from solvers.field.board import Board, Grid
from solvers.field.moments import MomentMethod, antenna, reflection
from solvers.field.openems.mesh import MeshSettings
from solvers.field.openems.pixels import port_inductance_h, simulation
from solvers.field.openems.probes import impedance
from solvers.field.openems.process import (
    OpenEmsFailed,
    OpenEmsMissing,
    Progress,
    find_openems,
    run,
)
from solvers.field.tables import compute_tables
from tests.waiting import eventually

GRID = Grid(cells=6, cell_m=4e-3)
BOARD = Board(eps_r=2.2, tan_d=1e-3, height_m=1.6e-3)
MASK = np.ones((6, 6), bool)
SIMULATION = simulation(
    BOARD,
    GRID,
    MASK,
    port=(1, 3),
    band_hz=(2.5e9, 5.5e9),
    mesh=MeshSettings(board_margin_mm=10, air_mm=12, slab_layers=3),
)


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a shell script in openEMS' place."""
    program = folder / "pretended"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("TRIMTAB_OPENEMS", str(program))


WRITE = "for p in port_ut port_it; do printf '0 1\\n1e-12 2\\n' > $p; done"


def test_missing_program_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_OPENEMS", "/nowhere/openEMS")
    with pytest.raises(OpenEmsMissing, match="apt-get install openems"):
        find_openems()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo bad input; exit 3", "code 3: bad input"),
        (
            f"{WRITE}; echo 'Warning: Unused primitive (type: Box) in metal!'",
            "off its mesh lines",
        ),
        (f"{WRITE}; echo 'Error in LumpedElement'", "Error in LumpedElement"),
        (
            f"{WRITE}; echo '[@ 4s] Timestep: 400000 || Energy: ~1e-9 (-12.00dB)'",
            "had not decayed",
        ),
        ("kill -SEGV $$", "code -11"),
    ],
)
def test_untrustworthy_runs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    pretend(tmp_path, monkeypatch, script)
    with pytest.raises(OpenEmsFailed, match=message):
        run(SIMULATION, workdir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pretended"], "nothing is left"


def test_stop_ends_the_program_and_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, monkeypatch, "sleep 600 & echo $! > ../child; wait")
    began = time.monotonic()
    assert (
        run(SIMULATION, workdir=tmp_path, stopped=lambda: time.monotonic() > began + 1)
        is None
    )
    child = int((tmp_path / "child").read_text())
    eventually(lambda: not _runs(child))


def test_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, "sleep 600")
    with pytest.raises(
        OpenEmsFailed, match=r"time limit: after 0 steps .* by 0 of 40 dB"
    ):
        run(SIMULATION, workdir=tmp_path, limit_s=0.5)


def test_progress_is_read_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "[@        8s] Timestep:  1764 || Speed:   62.8 MC/s (4e-03 s/TS) || "
    line += "Energy: ~1.59e-15 (- 4.51dB)"
    pretend(tmp_path, monkeypatch, f"{WRITE}; echo '{line}'; sleep 0.5")
    seen: list[Progress] = []
    finished = run(SIMULATION, workdir=tmp_path, on_progress=seen.append)
    assert finished is not None
    assert seen == [Progress(step=1764, decay_db=4.51)]


@pytest.mark.skipif(shutil.which("openEMS") is None, reason="openEMS is not installed")
def test_two_solvers_agree_on_a_patch(tmp_path: Path) -> None:
    """A 24 mm patch near 4 GHz: the solvers share nothing but the geometry."""
    finished = run(SIMULATION, workdir=tmp_path, limit_s=300)
    assert finished is not None
    frequencies = np.linspace(2.7e9, 5.3e9, 53)
    z = impedance(finished.voltage, finished.current, frequencies)
    z = z - 2j * np.pi * frequencies * port_inductance_h(BOARD)
    second = reflection(z)
    fine = GRID.refined(3)
    method = MomentMethod(
        compute_tables(BOARD, fine, frequencies),
        antenna(
            np.kron(MASK, np.ones((3, 3), bool)),
            [(3 + i, 9 + j) for i in range(3) for j in range(3)],
        ),
    )
    first = np.array([reflection(method.input_impedance(k)) for k in range(53)])
    assert np.abs(second).max() < 1.02
    resonances = [frequencies[int(np.abs(s).argmin())] for s in (first, second)]
    assert resonances[0] == pytest.approx(resonances[1], rel=0.02)
    assert np.abs(first - second).mean() < 0.15


def test_a_killed_caller_leaves_no_program_behind(tmp_path: Path) -> None:
    program = tmp_path / "pretended"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/started\nexec sleep 300\n")
    program.chmod(0o755)
    code = (
        "from pathlib import Path\n"
        "from tests.solvers.field.openems.test_process import SIMULATION, run\n"
        f"run(SIMULATION, workdir=Path({str(tmp_path)!r}))\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TRIMTAB_OPENEMS": str(program)}
    )
    started = tmp_path / "started"
    eventually(lambda: started.exists() and started.read_text())
    number = int(started.read_text())
    caller.kill()
    caller.wait()
    eventually(lambda: not _runs(number))


def _runs(number: int) -> bool:
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except FileNotFoundError:
        return False
