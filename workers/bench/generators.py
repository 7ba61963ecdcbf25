"""Random instances by the recipes of the literature, seeded.

Set cover: Balas and Ho (1980), as in learn2branch (Gasse et al. 2019): ⌊m·n·density⌋ nonzeros, every column in at least two
rows, every row covered, whole costs 1..100. `SC/5` and `SC-S` are the sizes of CL-LNS (Huang et al. 2023), table 1.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class SetCover:
    """min c·x, every row covered by a chosen column. `rows[i]` are the columns that cover row i, ascending."""

    costs: np.ndarray  # (n,) whole numbers
    rows: tuple[np.ndarray, ...]


SIZES = {"SC/5": (1_000, 800), "SC-S": (5_000, 4_000), "SC-L": (5_000, 8_000)}  # (rows, columns)


def set_cover(rows: int, columns: int, *, density: float = 0.05, max_cost: int = 100, seed: int) -> SetCover:
    """A Balas–Ho instance. Raises ValueError when the density cannot give every column two rows and every row one column."""
    nonzeros = int(rows * columns * density)
    if nonzeros < max(rows, 2 * columns):
        raise ValueError(f"density {density} gives {nonzeros} nonzeros; {max(rows, 2 * columns)} are needed at least")
    rng = np.random.default_rng(seed)
    # How many rows each column covers: two each, the rest at random.
    counts = 2 + np.bincount(rng.integers(columns, size=nonzeros - 2 * columns), minlength=columns)
    counts = np.minimum(counts, rows)
    # Every row once, dealt out over the columns' places; the remaining places at random without repetition in a column.
    deck = rng.permutation(rows)
    dealt = 0
    members: list[set[int]] = [set() for _ in range(rows)]
    for column in range(columns):
        want = int(counts[column])
        own = deck[dealt : dealt + want] if dealt < rows else deck[:0]
        dealt += len(own)
        chosen = set(own.tolist())
        while len(chosen) < want:
            chosen.update(rng.integers(rows, size=want - len(chosen)).tolist())
        for row in chosen:
            members[row].add(column)
    return SetCover(
        costs=rng.integers(1, max_cost + 1, size=columns),
        rows=tuple(np.fromiter(sorted(row), dtype=np.int64) for row in members),
    )


def write_mps(instance: SetCover, path: Path) -> None:
    """Write in free MPS format."""
    by_column: list[list[int]] = [[] for _ in instance.costs]
    for i, row in enumerate(instance.rows):
        for j in row.tolist():
            by_column[j].append(i)
    with path.open("w") as file:
        file.write("NAME setcover\nROWS\n N cost\n")
        file.writelines(f" G r{i}\n" for i in range(len(instance.rows)))
        file.write("COLUMNS\n M1 'MARKER' 'INTORG'\n")
        for j, cost in enumerate(instance.costs.tolist()):
            file.write(f" x{j} cost {cost}\n")
            file.writelines(f" x{j} r{i} 1\n" for i in by_column[j])
        file.write(" M2 'MARKER' 'INTEND'\nRHS\n")
        file.writelines(f" RHS r{i} 1\n" for i in range(len(instance.rows)))
        file.write("BOUNDS\n")
        file.writelines(f" BV BND x{j}\n" for j in range(len(instance.costs)))
        file.write("ENDATA\n")


def main(argv: list[str]) -> int:
    """`set-cover --size SC/5 --seed 0 OUT.mps`."""
    parser = argparse.ArgumentParser(prog="python -m workers.bench.generators", description=__doc__)
    parser.add_argument("family", choices=["set-cover"])
    parser.add_argument("--size", choices=sorted(SIZES), default="SC/5")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(argv)
    rows, columns = SIZES[given.size]
    write_mps(set_cover(rows, columns, seed=given.seed), given.out)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
