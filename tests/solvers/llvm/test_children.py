"""Forked children: outcomes, limits, order, and stopping."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from solvers.llvm.children import Child, Job, last_words, limit_files, run_all
from tests.solvers.llvm.processes import gone
from tests.waiting import PATIENCE_S, eventually, sooner_than

Reply = Callable[[dict[str, Any]], None]
MEMORY = 1 << 30


@pytest.fixture
def stop() -> Iterator[tuple[int, int]]:
    """Make a pipe: (read end, write end)."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def answers_twice(reply: Reply) -> None:
    reply({"n": 1})
    reply({"n": "two\n"})


def aborts(reply: Reply) -> None:
    reply({"n": 1})
    os.write(
        2, b"PLEASE submit a bug report\nopt: Assertion `x > 0' failed.\nStack dump:\n"
    )
    faulthandler.disable()  # of pytest
    os.abort()


def allocates(reply: Reply) -> None:
    reply({"n": len(bytearray(4 * MEMORY))})


def raises(reply: Reply) -> None:
    raise ZeroDivisionError("by zero")


def sleeps(reply: Reply) -> None:
    time.sleep(60)


def spins(reply: Reply) -> None:
    while True:
        pass


def writes(reply: Reply) -> None:
    limit_files(10)
    file = os.memfd_create("file")
    reply({"written": os.write(file, bytes(100))})


def no_children_left() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def run(job: Job, stop: int, seconds: float = 10.0) -> Child:
    children = run_all(
        iter([(0, job)]), side_by_side=1, seconds=seconds, memory_bytes=MEMORY, stop=stop
    )
    return next(children)[1]


def test_answers_arrive_in_order(stop: tuple[int, int]) -> None:
    child = run(answers_twice, stop[0])
    assert child.answers == [{"n": 1}, {"n": "two\n"}]
    assert child.outcome() == ("ok", "")


@pytest.mark.parametrize(
    ("job", "outcome", "detail"),
    [
        (aborts, "crashed", "SIGABRT: opt: Assertion `x > 0' failed."),
        (allocates, "memory", "memory limit reached"),
        (raises, "crashed", "exit 70: ZeroDivisionError: by zero"),
    ],
)
def test_failures_have_their_outcome(
    stop: tuple[int, int], job: Job, outcome: str, detail: str
) -> None:
    assert run(job, stop[0]).outcome() == (outcome, detail)


@pytest.mark.parametrize("job", [sleeps, spins])
def test_a_child_is_killed_at_its_deadline(stop: tuple[int, int], job: Job) -> None:
    with sooner_than(60):
        child = run(job, stop[0], seconds=0.2)
    assert child.outcome()[0] == "timeout"
    assert gone(child.pid)


def test_a_child_that_waits_for_a_core_is_not_killed(stop: tuple[int, int]) -> None:
    """By the clock it takes six times its processor seconds: as on a busy machine."""

    def works_now_and_then(reply: Reply) -> None:
        for _ in range(6):
            time.sleep(0.1)
        reply({"n": 1})

    children = run_all(
        iter([(0, works_now_and_then), (1, spins)]),
        side_by_side=2,
        seconds=0.2,
        wall_s=60.0,
        memory_bytes=MEMORY,
        stop=stop[0],
    )
    outcomes = {number: child.outcome()[0] for number, child in children}
    assert outcomes == {0: "ok", 1: "timeout"}


def test_files_are_limited(stop: tuple[int, int]) -> None:
    assert run(writes, stop[0]).answers == [{"written": 10}]


def test_jobs_run_side_by_side(stop: tuple[int, int], tmp_path: Path) -> None:
    def meets_the_others(reply: Reply) -> None:
        (tmp_path / str(os.getpid())).touch()
        eventually(lambda: len(list(tmp_path.iterdir())) == 4)

    children = run_all(
        ((number, meets_the_others) for number in range(4)),
        side_by_side=4,
        seconds=PATIENCE_S,
        memory_bytes=MEMORY,
        stop=stop[0],
    )
    outcomes = {number: child.outcome()[0] for number, child in children}
    assert outcomes == dict.fromkeys(range(4), "ok")


def test_input_on_the_clients_pipe_ends_all_children(stop: tuple[int, int]) -> None:
    jobs: Iterator[tuple[int, Job]] = iter([(0, answers_twice), (1, sleeps), (2, sleeps)])
    children = run_all(
        jobs, side_by_side=2, seconds=60.0, memory_bytes=MEMORY, stop=stop[0]
    )
    number, child = next(children)
    assert (number, child.outcome()[0]) == (0, "ok")
    os.write(stop[1], b"\n")
    assert list(children) == []
    assert no_children_left()


def test_last_words_prefer_assertions_to_the_end_of_the_log() -> None:
    log = "first\nLLVM ERROR: out of registers\n" + "frame\n" * 20
    assert last_words(log) == "LLVM ERROR: out of registers"
    assert last_words("\n".join("abcdefghijkl")) == "\n".join("efghijkl")
    assert last_words("PLEASE submit a bug report\n\n") == ""


def test_limits_stay_below_those_of_the_process() -> None:
    code = (
        "import resource; from solvers.llvm.children import limit_processor_time as limit;"
        "resource.setrlimit(resource.RLIMIT_CPU, (50, 60)); limit(400);"
        "print(*resource.getrlimit(resource.RLIMIT_CPU))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["59", "60"]
