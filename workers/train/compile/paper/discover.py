"""Random discovery of pass sequences, and what each sequence does to each program, prefix by prefix.

python -m workers.train compile paper-discover       # one sequence a training program: resumable
python -m workers.train compile paper-table          # IR counts after every pass, of programs x sequences: resumable

Both can be split between processes; the table wants every sequence to be there.
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

EPISODES = 100  # of a program; the paper: 200
_CANDIDATE_S = 10.0
_SMALLEST, _LARGEST = 100, 2000  # instructions
PROGRAMS = {"train": 400, "val": 40, "heldout": 120}
DISCOVERED = 200  # of the training programs: those that give a sequence
Row = dict[str, Any]
_SEQUENCES, _TABLE = "paper-sequences", "paper-table"


def programs(folder: Path, split: str) -> list[Row]:
    """Programs of a split, spread over packages."""
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
    """The best prefix of `EPISODES` random sequences of each training program, without the passes that do not matter.

    part: (which, of how many) of the programs this process does.
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
            best, least = [], engine.info.ir_instructions
            for _ in range(EPISODES):
                tried = [actions[int(i)] for i in rng.integers(len(actions), size=PASSES)]
                counts = trajectory(engine, tried)
                if counts and min(counts) < least:
                    least = min(counts)
                    best = tried[: counts.index(least)]
            best, least = _needed(engine, best, least)
        with out.open("a") as file:
            file.write(
                json.dumps(
                    {
                        "sha": row["sha"],
                        "package": row["package"],
                        "ir": least,
                        "passes": best,
                    }
                )
                + "\n"
            )
        told = f"{row['package']}/{row['name']}: {row['ir_instructions']} → {least}, {len(best)} passes"
        say(f"{number + 1} of {len(todo)}: {told}")


def _needed(engine: Engine, passes: list[str], least: int) -> tuple[list[str], int]:
    """Without those that do no good, from the last to the first; and the count then, which may be lower."""
    for place in reversed(range(len(passes))):
        fewer = passes[:place] + passes[place + 1 :]
        counts = trajectory(engine, fewer)
        if len(counts) == len(fewer) + 1 and min(counts) <= least:
            passes, least = fewer, min(counts)
    return passes, least


def table(
    folder: Path, *, say: Callable[[str], None], part: tuple[int, int] = (0, 1)
) -> None:
    """Trajectories of every distinct sequence on every program of all splits, and -O0 and -Oz counts. part: as above."""
    out = _own(folder, _TABLE, part)
    done = {row["sha"] for row in parts(folder, _TABLE)}
    found = sequences(folder)
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
                    "counts": [trajectory(engine, passes)[1:] for passes in found],
                }
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            say(f"{split} {number + 1} of {len(todo)}: {row['package']}/{row['name']}")


def sequences(folder: Path) -> list[list[str]]:
    """The distinct discovered sequences, sorted: whatever processes found them."""
    return sorted(
        map(
            list,
            {tuple(row["passes"]) for row in parts(folder, _SEQUENCES) if row["passes"]},
        )
    )


def measured(folder: Path) -> list[Row]:
    """The table's rows."""
    return parts(folder, _TABLE)


def trajectory(engine: Engine, passes: Sequence[str]) -> list[int]:
    """IR counts after 0, 1, … passes; shorter when one crashes, nothing when the whole takes too long."""
    try:
        return engine.trajectory(passes)
    except CandidateFailed:
        return []


def engine_of(folder: Path, row: Row) -> Engine:
    """An engine with a program of the corpus."""
    bitcode = (folder / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
    return Engine(bitcode, limits=EngineLimits(candidate_s=_CANDIDATE_S))


def parts(folder: Path, name: str) -> list[Row]:
    """Lines of every process."""
    return [row for path in sorted(folder.glob(f"{name}*.jsonl")) for row in rows(path)]


def _own(folder: Path, name: str, part: tuple[int, int]) -> Path:
    return folder / (f"{name}-{part[0]}.jsonl" if part[1] > 1 else f"{name}.jsonl")


def rows(path: Path) -> list[Row]:
    """Lines of a JSON-lines file; none when it is not there."""
    return (
        [json.loads(line) for line in path.read_text().splitlines()]
        if path.is_file()
        else []
    )
