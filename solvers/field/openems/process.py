"""Run openEMS: find the binary, start it in a folder of its own, watch it, take its probe files."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from solvers.field.openems.document import PORT_CURRENT, PORT_VOLTAGE, Simulation
from solvers.field.openems.probes import Signal, read_signal
from solvers.parent import die_with_parent

VARIABLE = "TRIMTAB_OPENEMS"
TO_INSTALL = (
    f"Install openEMS (Debian and Ubuntu: sudo apt-get install openems), or set {VARIABLE} to the "
    "path of its program"
)
_TICK_S = 0.1
_PROGRESS = re.compile(
    r"Timestep:\s*(\d+).*?Energy:\s*~?\s*([0-9.eE+-]+).*?\(\s*-?\s*([0-9.]+)dB\)"
)


class OpenEmsMissing(Exception):
    """openEMS is not installed. The message says how to install it."""


class OpenEmsFailed(Exception):
    """The run failed, or ended in a way that its result cannot be trusted. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a run."""

    step: int
    decay_db: float  # of the field energy below its maximum


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Signals of a run that ended by its end criterion."""

    voltage: Signal
    current: Signal
    seconds: float
    cells: int


def find_openems() -> Path:
    """Return the program. Raises OpenEmsMissing."""
    named = os.environ.get(VARIABLE, "").strip()
    place = shutil.which(named or "openEMS")
    if place is None:
        tried = f"{VARIABLE}={named!r}" if named else "openEMS on PATH"
        raise OpenEmsMissing(f"no openEMS: looked for {tried}. {TO_INSTALL}")
    return Path(place)


def run(
    simulation: Simulation,
    *,
    workdir: Path,
    threads: int = 1,
    limit_s: float = 600.0,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_output: Callable[[bytes], None] = lambda output: None,
) -> Finished | None:
    """Run one simulation; None when `stopped` turned true.

    workdir: where a private folder is made, and removed again. on_output receives what openEMS
    prints, as it prints it. Raises OpenEmsMissing, and
    OpenEmsFailed when openEMS fails, drops part of the antenna, or does not reach its end criterion
    within `limit_s` or its steps.
    """
    program = find_openems()
    folder = Path(tempfile.mkdtemp(prefix="openems-", dir=workdir))
    started = time.monotonic()
    try:
        (folder / "antenna.xml").write_bytes(simulation.xml())
        log = folder / "log"
        command = [str(program), "antenna.xml", f"--numThreads={threads}"]
        here = os.getpid()
        with log.open("wb") as output:
            process = subprocess.Popen(  # a kill of this process ends it too
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(here, signal.SIGKILL),
            )
        try:
            with log.open("rb") as printed:
                ended = _watch(
                    process,
                    log,
                    started + limit_s,
                    stopped,
                    on_progress,
                    lambda: on_output(printed.read()),
                    simulation.end_criterion,
                )
        finally:
            _kill(process)
        if not ended:
            return None
        text = log.read_text(errors="replace")
        _check(text, process.returncode, simulation)
        return Finished(
            voltage=read_signal(folder / PORT_VOLTAGE),
            current=read_signal(folder / PORT_CURRENT),
            seconds=time.monotonic() - started,
            cells=(len(simulation.x) - 1)
            * (len(simulation.y) - 1)
            * (len(simulation.z) - 1),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(
    process: subprocess.Popen[bytes],
    log: Path,
    deadline: float,
    stopped: Callable[[], bool],
    on_progress: Callable[[Progress], None],
    on_tick: Callable[[], None],
    end_criterion: float,
) -> bool:
    """Wait for the end. False when stopped. Raises OpenEmsFailed at the deadline."""
    last = Progress(step=-1, decay_db=0.0)
    while process.poll() is None:
        if stopped():
            return False
        if time.monotonic() > deadline:
            raise OpenEmsFailed(
                "openEMS did not end within its time limit: after "
                f"{max(0, last.step):,} steps the fields had decayed by {last.decay_db:.0f} of "
                f"{-10 * math.log10(end_criterion):.0f} dB"
            )
        time.sleep(_TICK_S)
        on_tick()
        progress = _last_progress(log)
        if progress is not None and progress.step > last.step:
            last = progress
            on_progress(progress)
    on_tick()
    return True


def _last_progress(log: Path) -> Progress | None:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 2000))
        matches = _PROGRESS.findall(file.read().decode(errors="replace"))
    return (
        Progress(step=int(matches[-1][0]), decay_db=float(matches[-1][2]))
        if matches
        else None
    )


def _check(text: str, code: int, simulation: Simulation) -> None:
    """Refuse a run whose result cannot be trusted, though openEMS ended as if all were well."""
    tail = text.strip().splitlines()[-1:] or ["no output"]
    if code != 0:
        raise OpenEmsFailed(f"openEMS ended with code {code}: {tail[0][:300]}")
    if "Unused primitive" in text:
        raise OpenEmsFailed(
            "openEMS dropped a part of the antenna that lies off its mesh lines (Unused primitive)"
        )
    if "Error" in text:
        line = next(line for line in text.splitlines() if "Error" in line)
        raise OpenEmsFailed(f"openEMS reported: {line.strip()[:300]}")
    steps = [int(step) for step in re.findall(r"Timestep:\s*(\d+)", text)]
    if steps and steps[-1] >= simulation.most_steps:
        raise OpenEmsFailed(
            f"the fields had not decayed to {simulation.end_criterion:g} of their energy after "
            f"{simulation.most_steps:,} steps"
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
