"""Stored results, and the date, machine and seed of what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).resolve().parents[3] / "deploy" / "docs" / "measured"
RESULTS = MEASURED / "results"
Row = dict[str, Any]


def rows_of(*names: str) -> list[Row]:
    """Return the lines of some result files, one after another."""
    files = [RESULTS / f"{name}.jsonl" for name in names]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@dataclass(frozen=True, kw_only=True)
class Source:
    """The evidence for a table."""

    files: tuple[str, ...]
    """Names in results/, without the ending; they begin with the date."""
    machine: str
    seeds: str
    remark: str = ""
    """A condition of the measurement, for example other load on the machine."""

    def sentence(self) -> str:
        """Return date, machine, seed and links to the files."""
        dates = _joined(sorted({file[:10] for file in self.files}))
        links = ", ".join(f"[{file}](results/{file}.jsonl)" for file in self.files)
        remark = f" {self.remark}" if self.remark else ""
        return f"Measured on {dates}; {self.machine}; {self.seeds}.{remark} Results: {links}."


def source(*names: str, remark: str = "", seeds: str = "") -> Source:
    """Describe result files by what their lines record; `seeds` where they record none."""
    rows = rows_of(*names)
    machines = [row["machine"] for row in rows if "machine" in row]
    return Source(
        files=names,
        machine=_joined(sorted({_machine(machine) for machine in machines}))
        or "machine not recorded",
        seeds=seeds or _seeds(row["seed"] for row in rows if "seed" in row),
        remark=remark,
    )


def _machine(machine: Row) -> str:
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB"


def _seeds(seeds: Iterable[int]) -> str:
    distinct = sorted(set(seeds))
    if not distinct:
        return "seed not recorded"
    return f"seed{'s' if len(distinct) > 1 else ''} {_joined([str(seed) for seed in distinct])}"


def _joined(words: Sequence[str]) -> str:
    return " and ".join(words)
