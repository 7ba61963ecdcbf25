"""Measure read and build times, interpreter lock and stop latency; one JSON line each.

Run by `python -m tests.solvers.measure`.

On a set cover of a million coefficients (5,000 rows × 4,000 columns). Each stop runs in a process
of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from solvers.types import SolveParams
from tests.solvers.models import set_cover
from tests.solvers.texts import write_mps

STOPS_S = (1.0, 4.0, 10.0)
SIZE = (5000, 4000)


class Ticker(threading.Thread):
    """Wakes every 5 ms; its longest gap is how long somebody held the interpreter lock."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest_s, self._on = 0.0, True

    def run(self) -> None:
        last = time.perf_counter()
        while self._on:
            time.sleep(0.005)
            now = time.perf_counter()
            self.longest_s, last = max(self.longest_s, now - last), now

    def stop(self) -> None:
        self._on = False
        self.join()


def timed(what: str, call: Callable[[], Any]) -> Any:
    ticker = Ticker()
    ticker.start()
    began = time.perf_counter()
    result = call()
    took = time.perf_counter() - began
    ticker.stop()
    print(
        json.dumps(
            {
                "what": what,
                "seconds": round(took, 3),
                "longest_lock_s": round(ticker.longest_s, 3),
            }
        ),
        flush=True,
    )
    return result


def measure_stop(name: str, after_s: float) -> None:
    """In a process of its own: how long after `stop` the solve returns."""
    from solvers.table import make_solver

    model, solver = set_cover(*SIZE), make_solver(name)
    began = time.monotonic()
    params = SolveParams(time_limit_s=120)
    incumbents: list[float] = []
    result = solver.solve(
        model,
        params,
        on_incumbent=lambda value, _x: incumbents.append(value),
        stop=lambda: time.monotonic() - began > after_s,
    )
    line = {
        "what": "stop",
        "solver": name,
        "asked_after_s": after_s,
        "latency_s": round(time.monotonic() - began - after_s, 2),
        "limit": result.termination.limit,
        "best": result.primal,
        "bound": result.dual_bound,
        "incumbents": len(incumbents),
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    from solvers.exact import check, read_exact
    from solvers.highs import new_engine, pass_model, run
    from solvers.integer_model import integral
    from solvers.read import ReadLimits, read_model
    from solvers.scip import _build

    model = set_cover(*SIZE)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cover.mps"
        path.write_text(write_mps(model))
        timed(
            "HiGHS reads 1M coefficients",
            lambda: read_model(path, limits=ReadLimits(compared_bytes=0)),
        )
        exact = timed("exact reader", lambda: read_exact(path))
    timed("exact check of the full cover", lambda: check(exact, [1.0] * model.n))
    engine = new_engine(SolveParams(time_limit_s=5))
    engine.setOptionValue("time_limit", 5.0)
    timed("HiGHS passModel", lambda: pass_model(engine, model))
    timed("HiGHS run, 5 s", lambda: run(engine))
    timed("SCIP build from CSR", lambda: _build(__import__("pyscipopt").Model(), model))
    timed("CP-SAT scaling", lambda: integral(model))
    for name in ("highs", "scip", "cp-sat"):
        for after_s in STOPS_S:
            subprocess.run(
                [sys.executable, "-m", "tests.solvers.measure", name, str(after_s)],
                check=True,
            )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure_stop(sys.argv[1], float(sys.argv[2]))
    else:
        main()
