"""Random discovery of pass sequences, and IR counts of all programs after each pass.

    python -m workers.train compile paper-discover     # one sequence for each training program
    python -m workers.train compile paper-table        # programs × sequences

Both resume and can be split between processes; the table needs all sequences first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.compile.search.paper import PASSES
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.environment.actions import FLAT, known_to
from solvers.llvm.types import EngineLimits, Recipe
from workers.corpus.build import read
from workers.train.compile.mine import spread

EPISODES = 100  # random sequences of a program; the paper has 200
_CANDIDATE_S = 10.0
_SMALLEST, _LARGEST = 100, 2000  # instructions
PROGRAMS = {"train": 400, "val": 40, "heldout": 120}
DISCOVERED = 200  # training programs that give a sequence
Row = dict[str, Any]
_SEQUENCES, _TABLE = "paper-sequences", "paper-table"


def programs(folder: Path, split: str) -> list[Row]:
    """Return programs of a split, spread over packages."""
    fit = [
        row
        for row in read(folder)
        if row["split"] == split
        and _SMALLEST <= int(str(row["ir_instructions"])) <= _LARGEST
    ]
    return spread(fit, PROGRAMS[split])


def discover(
    folder: Path, *, say: Callable[[str], None], part: tuple[int, int] = (0, 1)
) -> None:
    """Write the best prefix of `EPISODES` random sequences for each training program.

    Passes that do not matter are removed. part: (index, number) of the processes that share the
    programs.
    """
    out = _own(folder, _SEQUENCES, part)
    done = {row["sha"] for row in parts(folder, _SEQUENCES)}
    todo = programs(folder, "train")[:DISCOVERED][part[0] :: part[1]]
    for number, row in enumerate(todo):
        if row["sha"] in done:
            continue
        rng = np.random.default_rng(int(str(row["sha"])[:8], 16))
        with engine_of(folder, row) as engine:
            actions = [action.pipeline for action in known_to(engine, FLAT)]
            best, least = _best_random(engine, actions, rng)
            best, least = _needed(engine, best, least)
        line = {"sha": row["sha"], "package": row["package"], "ir": least, "passes": best}
        with out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        say(
            f"{number + 1} of {len(todo)}: {row['package']}/{row['name']}: "
            f"{row['ir_instructions']} → {least}, {len(best)} passes"
        )


def _best_random(
    engine: Engine, actions: Sequence[str], rng: np.random.Generator
) -> tuple[list[str], int]:
    """(best prefix of random sequences, its IR count)."""
    best: list[str] = []
    least = engine.info.ir_instructions
    for _ in range(EPISODES):
        tried = [actions[int(i)] for i in rng.integers(len(actions), size=PASSES)]
        counts = trajectory(engine, tried)
        if counts and min(counts) < least:
            least = min(counts)
            best = tried[: counts.index(least)]
    return best, least


def _needed(engine: Engine, passes: list[str], least: int) -> tuple[list[str], int]:
    """(passes without those that do not help, IR count, which may be lower).

    Passes are tried from the last to the first.
    """
    for place in reversed(range(len(passes))):
        fewer = passes[:place] + passes[place + 1 :]
        counts = trajectory(engine, fewer)
        if len(counts) == len(fewer) + 1 and min(counts) <= least:
            passes, least = fewer, min(counts)
    return passes, least


def table(
    folder: Path, *, say: Callable[[str], None], part: tuple[int, int] = (0, 1)
) -> None:
    """Write the trajectories of all sequences on all programs, with -O0 and -Oz counts.

    part: (index, number) of the processes that share the programs.
    """
    out = _own(folder, _TABLE, part)
    done = {row["sha"] for row in parts(folder, _TABLE)}
    columns = sequences(folder)
    for split in PROGRAMS:
        todo = programs(folder, split)[part[0] :: part[1]]
        for number, row in enumerate(todo):
            if row["sha"] in done:
                continue
            with engine_of(folder, row) as engine:
                (oz,) = engine.measure(
                    [Recipe(pipeline=engine.default_pipelines()["Oz"])], emit=False
                )
                line = {
                    "sha": row["sha"],
                    "package": row["package"],
                    "split": split,
                    "o0": engine.info.ir_instructions,
                    "oz": oz.sizes.ir_instructions if oz.sizes else None,
                    "counts": [trajectory(engine, passes)[1:] for passes in columns],
                }
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            say(f"{split} {number + 1} of {len(todo)}: {row['package']}/{row['name']}")


def sequences(folder: Path) -> list[list[str]]:
    """Return the distinct sequences of all processes, sorted."""
    distinct = {
        tuple(row["passes"]) for row in parts(folder, _SEQUENCES) if row["passes"]
    }
    return sorted(map(list, distinct))


def measured(folder: Path) -> list[Row]:
    """Return the rows of the table."""
    return parts(folder, _TABLE)


def trajectory(engine: Engine, passes: Sequence[str]) -> list[int]:
    """Return IR counts after 0, 1, … passes.

    Shorter when a pass crashes, empty when the whole takes too long.
    """
    try:
        return engine.trajectory(passes)
    except CandidateFailed:
        return []


def engine_of(folder: Path, row: Row) -> Engine:
    """Start an engine with a program of the corpus."""
    bitcode = (folder / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
    return Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S))


def parts(folder: Path, name: str) -> list[Row]:
    """Read the lines of all processes."""
    return [row for path in sorted(folder.glob(f"{name}*.jsonl")) for row in rows(path)]


def _own(folder: Path, name: str, part: tuple[int, int]) -> Path:
    return folder / (f"{name}-{part[0]}.jsonl" if part[1] > 1 else f"{name}.jsonl")


def rows(path: Path) -> list[Row]:
    """Read a JSON-lines file; empty when it does not exist."""
    return (
        [json.loads(line) for line in path.read_text().splitlines()]
        if path.is_file()
        else []
    )
