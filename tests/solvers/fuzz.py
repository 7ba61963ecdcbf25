"""Mutated model files through both readers and two solvers, in a child that may die.

The child takes paths on stdin, one a line, and answers each with JSON lines: one before each stage,
so that the host knows what killed it, and one with the outcome. Run by `test_read_fuzz.py`; not a
test module itself.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MEMORY_BYTES = 6 << 30  # HiGHS, SCIP and numpy map a good deal before they do anything
SOLVE_S = 0.3
EXACT_LIMIT_S = 5.0
OWN_TIMEOUT_S = 60.0
_NUMBERS = (
    b"1e308",
    b"-1e308",
    b"1e-320",
    b"nan",
    b"inf",
    b"-",
    b"99999999999999999999",
    b"1e15",
    b"-0",
)


def mutate(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """(what was done, the mutant)."""
    kind = rng.choice(
        (
            "bits",
            "cut",
            "swap",
            "number",
            "lines",
            "twice",
            "gzip",
            "packed bits",
            "splice",
        )
    )
    data = bytearray(content)
    if kind == "bits":
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[rng.randrange(1, len(data)) :]
    elif kind == "splice":
        place, size = rng.randrange(len(data)), rng.randrange(1, 2000)
        data[place:place] = data[rng.randrange(len(data)) :][:size]
    elif kind in ("swap", "number"):
        tokens = bytes(data).split(b" ")
        places = [place for place, token in enumerate(tokens) if token.strip()]
        for _ in range(rng.choice((1, 2, 10))):
            if kind == "swap":
                a, b = rng.choice(places), rng.choice(places)
                tokens[a], tokens[b] = tokens[b], tokens[a]
            else:
                new = rng.choice(
                    (
                        b"1e308",
                        b"-1e308",
                        b"1e-320",
                        b"nan",
                        b"inf",
                        b"-",
                        b"99999999999999999999",
                        b"1e15",
                        b"-0",
                    )
                )
                tokens[rng.choice(places)] = new
        data = bytearray(b" ".join(tokens))
    elif kind in ("lines", "twice"):
        lines = bytes(data).split(b"\n")
        for _ in range(rng.choice((1, 4))):
            place = rng.randrange(len(lines))
            if kind == "twice":
                lines.insert(rng.randrange(len(lines)), lines[place])
            elif len(lines) > 1:
                del lines[place]
        data = bytearray(b"\n".join(lines))
    elif kind == "gzip":
        data = bytearray(gzip.compress(bytes(data), mtime=0))
        del data[rng.randrange(1, len(data)) :]
    else:
        data = bytearray(gzip.compress(bytes(data), mtime=0))
        for _ in range(3):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return kind, bytes(data)


class Child:
    """The process that is fed; started again when it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, path: Path, timeout_s: float) -> dict[str, Any]:
        """Return the child's outcome of one file, or {"died": signal or "timeout", "stage": …}."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.solvers.fuzz"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        # The child may have to be started, and the exact reader is ours: both get the time a busy
        # machine takes.
        deadline, stage, buffer = time.monotonic() + OWN_TIMEOUT_S, "start", b""
        while True:
            ready, _, _ = select.select(
                [process.stdout], [], [], max(0.0, deadline - time.monotonic())
            )
            chunk = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
            if not chunk:
                process.kill()
                code = process.wait()
                self.close()
                return {"died": f"signal {-code}" if ready else "timeout", "stage": stage}
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                outcome = json.loads(line)
                if "stage" not in outcome:
                    return dict(outcome)
                stage = outcome["stage"]
                deadline = time.monotonic() + (
                    OWN_TIMEOUT_S if stage == "exact" else timeout_s
                )

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None


def main() -> None:
    """The child."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # native code prints where it likes

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    for line in sys.stdin:
        say(examine(Path(line.strip()), say))


def examine(path: Path, say: Any) -> dict[str, Any]:
    """Read twice, solve twice, check."""
    from solvers.compare import differences
    from solvers.errors import ModelError, SolverFailed
    from solvers.exact import ExactLimits, check, read_exact
    from solvers.read import ReadLimits, read_model
    from solvers.table import make_solver
    from solvers.types import SolveParams

    outcome: dict[str, Any] = {}
    say({"stage": "exact"})
    exact = model = None
    began = time.monotonic()
    try:
        exact = read_exact(path, limits=ExactLimits(time_s=EXACT_LIMIT_S))
        outcome["exact"] = "read"
    except ModelError as error:
        outcome["exact"], outcome["exact message"] = "refused", str(error)
    except BaseException as error:
        outcome["exact"] = f"raised {type(error).__name__}: {error}"
    outcome["exact_s"] = time.monotonic() - began
    say({"stage": "highs read"})
    try:
        # HiGHS meets them all.
        model = read_model(path, limits=ReadLimits(compared_bytes=0))
        outcome["highs read"] = "read"
    except ModelError as error:
        outcome["highs read"], outcome["message"] = "refused", str(error)
    except BaseException as error:
        outcome["highs read"] = f"raised {type(error).__name__}: {error}"
    if model is None:
        return outcome
    same = exact is not None and not differences(exact, model)
    outcome["same"] = same
    for name in ("highs", "scip"):
        say({"stage": f"{name} solve"})
        try:
            result = make_solver(name).solve(model, SolveParams(time_limit_s=SOLVE_S))
            outcome[name] = result.termination.reason.value
            if (
                same
                and exact is not None
                and result.x is not None
                and model.extras is None
            ):
                outcome[f"{name} checked"] = check(exact, result.x.tolist()).feasible
        except (SolverFailed, MemoryError) as error:
            outcome[name] = f"failed: {error}"
        except BaseException as error:
            outcome[name] = f"raised {type(error).__name__}: {error}"
    return outcome


if __name__ == "__main__":
    main()
