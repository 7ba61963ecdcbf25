"""The report of a plan as a table of its jobs' results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from search.domains.plan.outline.repair import newest
from search.rest import EndedJob
from trimtab.plans import Outline
from trimtab.results import JobState


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job of the plan."""

    leaf: str
    title: str
    job: str
    state: str
    reason: str
    objective: str  # decimal text of the result; empty without one
    checked: str  # verdict of the job's own check


@dataclass(frozen=True, kw_only=True)
class PlanReport:
    """A report: its text, and the rows that it is made of."""

    text: str
    rows: tuple[Row, ...]
    without_result: float  # leaves whose newest version has no result

    @property
    def verdict(self) -> str:
        """One sentence on the whole."""
        return f"{len(self.rows)} jobs, {self.without_result:g} without a result"

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> PlanReport:
        """Read again. Raises ValueError, KeyError or TypeError."""
        document: dict[str, Any] = json.loads(data)
        rows = tuple(Row(**row) for row in document["rows"])
        texts = [
            document["text"],
            *(text for row in rows for text in asdict(row).values()),
        ]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("report: expected text")
        return cls(
            text=document["text"],
            rows=rows,
            without_result=float(document["without_result"]),
        )


def write_report(outline: Outline, jobs: Mapping[str, EndedJob]) -> PlanReport:
    """Return the report of a plan whose jobs have ended."""
    rows = tuple(
        _row(name, outline.leaves[name].title, jobs[name])
        for name in outline.leaves
        if name in jobs
    )
    last = set(newest(outline).values())
    done = {row.leaf for row in rows if row.state == JobState.SUCCEEDED}
    lines = [
        f"# {_cell(outline.goal)[:200]}",
        "",
        "| leaf | job | state | ended by | objective | check |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.leaf}: {_cell(row.title)} | {row.job} | {row.state} | {row.reason} | "
        f"{row.objective or 'none'} | {row.checked} |"
        for row in rows
    ]
    if outline.not_done:
        lines += ["", "Not done:", ""]
        lines += [f"* {_cell(p.text)[:200]}: {_cell(p.reason)}" for p in outline.not_done]
    return PlanReport(
        text="\n".join(lines) + "\n",
        rows=rows,
        without_result=float(len(last - done)),
    )


def _row(name: str, title: str, job: EndedJob) -> Row:
    result = job.result or {}
    objective = result.get("objective")
    return Row(
        leaf=name,
        title=title,
        job=job.id,
        state=job.state.value,
        reason=str((job.termination or {}).get("reason", "")),
        objective="" if objective is None else repr(objective),
        checked=str(result.get("verification", {}).get("status", "not_checked")),
    )


def _cell(text: str) -> str:
    """Return user text without marks that Markdown would read."""
    return "".join(c if c.isalnum() or c in " .,:;()%+-/=" else " " for c in text)
