"""Real files in three conditions, each method against the others in the same condition.

- alone: one run, nothing beside it.
- pair: two runs of the method at once, the second with the next seed; their mean counts.
- busy: one run beside eight busy processes.

Every run and every busy process has a session of its own, as the service's runs have: where the
kernel shares processors by session, each competes as one session.

Methods take turns on each file (A B A B with `--repeats 2`), so that a slow minute of the machine
affects all of them.

Goal of trimtab against another method, file by file: a primal integral of at most 1.1 times the
other's, plus 0.5 s of processor time. The latter is converted to wall clock by the other method's
own run (wall over processor seconds, at least 1): beside eight busy processes half a second of
processor time takes longer.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workers.bench import instances
from workers.bench.ilp import metrics
from workers.bench.stats import machine

CONDITIONS = ("alone", "pair", "busy")
BUSY_PROCESSES = 8
FACTOR, ALLOWED_CPU_S = 1.1, 0.5
# None of these was used in tuning. The first five missed the goal of 1.1 times HiGHS' integral +
# 1 s on 2026-11-28.
FILES = (
    *("pmp-iss-157", "bft", "cap6000", "10teams", "2050_3_7"),
    *("air04", "arki001", "blend2", "dano3mip", "danoint", "l152lav", "markshare1"),
    *("misc07", "mkc", "mod010", "pk1", "qiu", "qnet1", "rout", "seymour", "swath"),
)
Run = dict[str, Any]
Key = tuple[str, str, str]  # condition, file, method


def main(options: argparse.Namespace) -> int:
    """Run, write a line for each run, and print the files beyond the goal."""
    files = _files(options.files or options.real or FILES)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    seconds = max(1.0, options.seconds * options.scale)
    runs: dict[Key, list[Run]] = {}
    for file in files:
        for condition, _repeat, method in itertools.product(
            options.condition, range(options.repeats), options.methods
        ):
            measured = _measured(condition, method, file, seconds, options.seed)
            runs.setdefault((condition, file.name, method), []).extend(measured)
        of_file = {key: group for key, group in runs.items() if key[1] == file.name}
        measure(of_file, seconds)
        _append(options.out, of_file, seconds)
        for condition in options.condition:
            print(_line(condition, file.name, options.methods, runs), flush=True)
    print_report(runs, options.condition, [file.name for file in files], options.methods)
    return 0


def _append(out: Path, runs: dict[Key, list[Run]], seconds: float) -> None:
    with out.open("a") as file:
        for (condition, name, method), group in runs.items():
            head = {
                "suite": "ilp-conditions",
                "condition": condition,
                "instance": name,
                "method": method,
                "limit": seconds,
                "machine": machine(),
            }
            file.writelines(json.dumps({**head, **run}) + "\n" for run in group)


def measure(runs: dict[Key, list[Run]], seconds: float) -> None:
    """Add the integrals over wall clock and over processor time.

    They are against the best of all runs on one file.
    """
    every = [run for group in runs.values() for run in group]
    names = {key[1] for key in runs}
    if len(names) != 1:
        raise ValueError(f"runs: expected those of one file, got {sorted(names)}")
    maximise = any(run.get("sense") == "maximize" for run in every)
    finals = [run["trace"][-1][1] for run in every if run["trace"]]
    optimum = instances.OPTIMA.get(names.pop().partition(".")[0])
    finals += [] if optimum is None else [optimum]
    best = (max(finals) if maximise else min(finals)) if finals else None
    for run in every:
        run["best_known"] = best
        run["integral"] = metrics.integral(run["trace"], best, seconds)
        # Over processor time a run is measured up to its end: after that it costs nothing.
        by_cpu = [
            (cpu, objective)
            for cpu, (_, objective) in zip(run["cpu_trace"], run["trace"], strict=True)
        ]
        run["integral_cpu"] = metrics.integral(by_cpu, best, run["cpu_s"])


def beyond(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    """Return the seconds by which our mean primal integral exceeds the goal; negative below it."""
    share = max(1.0, _mean(theirs, "seconds") / max(1e-3, _mean(theirs, "cpu_s")))
    return (
        _mean(ours, "integral")
        - FACTOR * _mean(theirs, "integral")
        - ALLOWED_CPU_S * share
    )


def print_report(
    runs: dict[Key, list[Run]],
    conditions: Sequence[str],
    names: Sequence[str],
    methods: Sequence[str],
) -> None:
    """Print, for each condition, means and the files beyond the goal."""
    for condition in conditions:
        print(f"\n{condition}: {len(names)} files")
        for method in methods:
            groups = [runs[(condition, name, method)] for name in names]
            integral = statistics.fmean(_mean(group, "integral") for group in groups)
            by_cpu = statistics.fmean(_mean(group, "integral_cpu") for group in groups)
            print(
                f"  {method:12s} mean primal integral {integral:7.3f} s of wall clock, "
                f"{by_cpu:7.3f} s of CPU time"
            )
        if "trimtab" not in methods:
            continue
        for method in (m for m in methods if m != "trimtab"):
            over = {
                n: beyond(runs[(condition, n, "trimtab")], runs[(condition, n, method)])
                for n in names
            }
            over = {name: by for name, by in over.items() if by > 0}
            shown = (
                ", ".join(f"{name} by {by:.2f} s" for name, by in over.items()) or "none"
            )
            print(
                f"  beyond {FACTOR:g} x {method} + {ALLOWED_CPU_S:g} s of CPU time: {shown}"
            )


def _line(
    condition: str, name: str, methods: Sequence[str], runs: dict[Key, list[Run]]
) -> str:
    text = f"{condition:6s}{name:22s}"
    for method in methods:
        group = runs[(condition, name, method)]
        first = [run["trace"][0][0] for run in group if run["trace"]]
        text += (
            f" | {method}: PI {_mean(group, 'integral'):7.3f} s, CPU "
            f"{_mean(group, 'cpu_s'):5.1f} of "
            f"{_mean(group, 'seconds'):5.1f} s, first "
            f"{min(first) if first else float('nan'):5.2f}, {group[0]['reason']}"
        )
    if "trimtab" in methods and "highs" in methods:
        by = beyond(runs[(condition, name, "trimtab")], runs[(condition, name, "highs")])
        text += f" | {'BEYOND by ' + format(by, '.2f') if by > 0 else 'within'}"
    return text


def _mean(runs: Sequence[Run], figure: str) -> float:
    return statistics.fmean(float(run[figure]) for run in runs)


def _files(names: Sequence[str]) -> list[Path]:
    """Return a path for each word.

    Existing files stay as they are; other words are names of public instances.
    """
    return [
        Path(name) if Path(name).is_file() else instances.fetch([name])[0]
        for name in names
    ]


def _measured(
    condition: str, method: str, file: Path, seconds: float, seed: int
) -> list[Run]:
    """Return the runs of one measurement: two in a pair, else one."""
    seeds = (seed, seed + 1) if condition == "pair" else (seed,)
    with _load(BUSY_PROCESSES if condition == "busy" else 0):
        started = [_start(method, file, seconds, each) for each in seeds]
        return [
            _end(process, seconds) | {"seed": each}
            for process, each in zip(started, seeds, strict=True)
        ]


@contextlib.contextmanager
def _load(count: int) -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command, start_new_session=True) for _number in range(count)]
    try:
        if busy:
            time.sleep(0.3)  # until all of them are busy
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _start(method: str, file: Path, seconds: float, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workers.bench.ilp.methods", method, str(file)]
    command += [str(seconds), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=environment,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[str], seconds: float) -> Run:
    limit_s = 4 * seconds + 120
    try:
        out, error = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return _failure("hung", "", limit_s)
    lines = out.strip().splitlines()
    if process.returncode != 0 or not lines:
        return _failure("crashed", error[-500:], seconds)
    run: Run = json.loads(lines[-1])
    run["trace"] = [(round(at, 3), objective) for at, objective in run["trace"]]
    run["cpu_trace"] = [round(at, 3) for at in run["cpu_trace"]]
    return run


def _failure(reason: str, detail: str, seconds: float) -> Run:
    return {
        "trace": [],
        "cpu_trace": [],
        "bound": None,
        "reason": reason,
        "detail": detail,
        "seconds": seconds,
        "cpu_s": seconds,
    }
