"""Stored lines of the antenna suites."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from workers.bench.tables import results
from workers.bench.tables.results import Row, rows_of

BUSY = "Other work ran on the machine: CPU seconds, not wall seconds, are stated."


def files_of(suite: str) -> tuple[str, ...]:
    """Return the result files that hold lines of a suite, without their ending, oldest first."""
    suite_field = f'"suite": "antenna-{suite}"'
    return tuple(
        file.stem
        for file in sorted(results.RESULTS.glob("*-antenna-*.jsonl"))
        if suite_field in file.read_text()
    )


def newest(suite: str, *, required: bool = True) -> str:
    """Return the newest result file that holds lines of a suite, without its ending."""
    files = files_of(suite)
    if required and not files:
        raise FileNotFoundError(
            f"{results.RESULTS}: expected lines of suite antenna-{suite}"
        )
    return files[-1] if files else ""


def lines_of(files: str | Sequence[str], suite: str) -> list[Row]:
    """Return the lines of a suite in a result file, or in several."""
    names = (files,) if isinstance(files, str) else files
    return [row for row in rows_of(*names) if row["suite"] == f"antenna-{suite}"]


def counted(line: Row, name: str) -> str:
    """Return a count with its interval."""
    low, high = line[f"{name}_interval"]
    return f"{line[name]} [{low:g}, {high:g}]"


def spread(values: Sequence[float | None], digits: int) -> str:
    """Return mean, least and largest; a dash without values."""
    measured = [value for value in values if value is not None]
    if not measured:
        return "–"
    mean = f"{statistics.mean(measured):.{digits}f}"
    if len(measured) == 1:
        return mean
    return f"{mean} [{min(measured):.{digits}f}, {max(measured):.{digits}f}]"
