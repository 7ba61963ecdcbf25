"""Check of a report: each figure again from the jobs' own results, without code of the planner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from search.rest import EndedJob
from trimtab.results import Verification, VerificationStatus


class Reported(Protocol):
    """What the check reads of a report."""

    @property
    def text(self) -> str:
        """The report."""
        ...

    @property
    def rows(self) -> tuple[Any, ...]:
        """Its rows: leaf, job, state, reason, objective, checked."""
        ...

    @property
    def without_result(self) -> float:
        """Leaves without a result."""
        ...


def check_report(report: Reported, jobs: Mapping[str, EndedJob]) -> Verification:
    """Compare every row with the job that it names, and the text with the rows."""
    faults = []
    if sorted(row.leaf for row in report.rows) != sorted(jobs):
        faults.append("the report's rows are not the plan's jobs")
    for row in report.rows:
        job = jobs.get(row.leaf)
        if job is None or job.id != row.job or job.state.value != row.state:
            faults.append(f"{row.leaf}: not the job or state that it had")
            continue
        result = job.result or {}
        value = result.get("objective")
        if (json.loads(row.objective) if row.objective else None) != value:
            faults.append(f"{row.leaf}: objective {row.objective}, measured {value}")
        if row.checked != result.get("verification", {}).get("status", "not_checked"):
            faults.append(f"{row.leaf}: check {row.checked}")
        cells = f"| {row.job} | {row.state} | {row.reason} | {row.objective or 'none'} |"
        if cells not in report.text:
            faults.append(f"{row.leaf}: its row is not in the text")
    # Repairs of a leaf are named `l1.r1`; the newest version counts.
    newest: dict[str, tuple[int, str]] = {}
    for name in jobs:
        root, _, number = name.partition(".r")
        newest[root] = max(newest.get(root, (-1, "")), (int(number or 0), name))
    without = sum(jobs[name].state.value != "SUCCEEDED" for _, name in newest.values())
    if report.without_result < without:
        faults.append(f"{without} leaves have no result, not {report.without_result:g}")
    return Verification(
        status=VerificationStatus.INVALID if faults else VerificationStatus.VALID,
        method="each figure again from the jobs' results",
        claimed_objective=report.without_result,
        objective=float(without) if faults else report.without_result,
        detail="; ".join(faults[:5]),
    )
