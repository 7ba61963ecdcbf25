"""Table of the seconds that jobs take, from stored results of the kinds' own suites.

`python -m workers.bench plan durations` writes `trimtab/durations.toml`. Each
kind has the unit in which its runs are alike: integer programs run to their limit unless they prove
the bound; a compile run with a limit of evaluations takes a time for each; sharding and antennas
end by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.bench.stats import quantile

RESULTS = Path("deploy/docs/measured/results")
_HEAD = "# How long runs take, by `python -m workers.bench plan durations` from stored results.\n"


@dataclass(frozen=True, kw_only=True)
class _Row:
    kind: str
    unit: str  # `share` of the limit, `seconds`, or `seconds an evaluation`
    values: tuple[float, ...]
    source: str


def lines(out: Path, *, results: Path = RESULTS) -> Iterator[dict[str, Any]]:
    """Write the table; yield its rows."""
    rows = (_ilp(results), _sharding(results), _compile(results), _antenna(results))
    texts = []
    for row in rows:
        line = {
            "kind": row.kind,
            "unit": row.unit,
            "p10": round(quantile(row.values, 0.1), 4),
            "p50": round(quantile(row.values, 0.5), 4),
            "p90": round(quantile(row.values, 0.9), 4),
            "runs": len(row.values),
            "source": row.source,
        }
        yield line
        texts.append(
            f'[kind.{row.kind}]  # {row.source}\nunit = "{row.unit}"\n'
            f"p50 = {line['p50']}\np90 = {line['p90']}\nruns = {line['runs']}\n"
        )
    out.write_text(_HEAD + "\n" + "\n".join(texts))


def _ilp(results: Path) -> _Row:
    names = ("2026-11-28-ilp-families-60s.jsonl", "2026-11-28-ilp-real-20s.jsonl")
    return _Row(
        kind="ilp",
        unit="share",
        values=tuple(
            min(1.0, row["seconds"] / row["limit"])
            for name in names
            for row in _stored(results / name)
            if row["method"] == "trimtab"
        ),
        source=", ".join(names),
    )


def _sharding(results: Path) -> _Row:
    name = "2026-11-23-sharding.jsonl"
    values = []
    for row in _stored(results / name):
        if row["suite"] == "sharding-scale":
            values.append(row["cpu_s"])
        values += [
            planner["seconds_median"]
            for planner in row.get("planners", ())
            if planner["planner"] == "trimtab"
        ]
    return _Row(kind="sharding", unit="seconds", values=tuple(values), source=name)


def _compile(results: Path) -> _Row:
    name = "2026-11-28-compile.jsonl"
    return _Row(
        kind="compile",
        unit="seconds an evaluation",
        values=tuple(
            row["seconds"] / row["pipelines"]
            for row in _stored(results / name)
            if row["method"] == "trimtab" and row["pipelines"] >= 10
        ),
        source=name,
    )


def _antenna(results: Path) -> _Row:
    name = "2026-11-30-antenna-search.jsonl"
    return _Row(
        kind="antenna",
        unit="seconds",
        values=tuple(
            sum(row["timings_s"].values())
            for row in _stored(results / name)
            if row.get("arm") == "funnel" and "timings_s" in row
        ),
        source=name,
    )


def _stored(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)
