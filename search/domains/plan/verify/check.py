"""The whole check: facts, text, coverage, plots."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from search.domains.plan.reports import Curve, Part, Plot, Report
from search.domains.plan.verify import tables, text
from search.domains.plan.verify.documents import MISSING, document_of, resolve
from search.domains.plan.verify.facts import Books
from search.rest import EndedJob
from trimtab.plans import Outline
from trimtab.results import Verification, VerificationStatus

METHOD = (
    "every number read again from the jobs' results and rounded again with fractions, every "
    "statement evaluated again, every sentence held against its template"
)
_MOST_FAULTS = 20
_SMALLEST, _LARGEST = 1e-30, 1e30  # of the numbers that a report states
_OF_LEAF = ("asked", "outcome", "check", "limits")


def check_report(
    report: Report, jobs: Mapping[str, EndedJob], *, outline: Outline
) -> Verification:
    """Check a report against the results of its jobs and the outline of its plan.

    jobs: by leaf of the outline, as given to the writer.
    """
    books = Books(report.facts, jobs, outline.model_dump(mode="json"), report.text_model)
    all_faults = itertools.chain(
        _guarded(books.faults()),
        _guarded(text.faults(report)),
        _guarded(_coverage(report, jobs, outline)),
        _guarded(_plots(report, jobs)),
    )
    without = _without_result(jobs, outline)
    faults = list(itertools.islice(all_faults, _MOST_FAULTS))
    if report.without_result != without:
        faults.append(f"{without} leaves have no result, not {report.without_result:g}")
    sentences = [
        sentence
        for section in report.sections
        for part in section.parts
        for passage in part.passages
        for sentence in passage.sentences
    ]
    slots = sum(piece.fact is not None for s in sentences for piece in s.pieces)
    return Verification(
        status=VerificationStatus.INVALID if faults else VerificationStatus.VALID,
        method=METHOD,
        claimed_objective=report.without_result,
        objective=float(without),
        checks={
            "facts": len(report.facts),
            "sentences": len(sentences),
            "slots": slots,
            "faults": len(faults),
        },
        detail="; ".join(faults[:3])
        or f"{slots} slots in {len(sentences)} sentences agree with the results",
    )


def _without_result(jobs: Mapping[str, EndedJob], outline: Outline) -> int:
    """Return the number of leaves whose newest repair, or they themselves, did not succeed."""
    last: dict[str, str] = {}
    for name in outline.leaves:
        node, first = outline.leaves[name], name
        while node.origin.source == "repair" and node.origin.id in outline.leaves:
            first = node.origin.id
            node = outline.leaves[first]
        last[first] = name
    return sum(
        name not in jobs or jobs[name].state.value != "SUCCEEDED"
        for name in last.values()
    )


def _guarded(faults: Iterator[str]) -> Iterator[str]:
    """Pass faults on; a report that cannot even be read is a fault, too."""
    try:
        yield from faults
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        yield f"the report cannot be checked: {type(error).__name__}: {error}"


def _coverage(
    report: Report, jobs: Mapping[str, EndedJob], outline: Outline
) -> Iterator[str]:
    """Yield facts that the results have and a passage ought to state, but does not."""
    in_slots: dict[tuple[str, str], set[str]] = {}
    names = {entry.id: entry.name for entry in report.facts}
    leaves = set()
    for section in report.sections:
        for part in section.parts:
            leaves.add(part.leaf)
            for passage in part.passages:
                stated = in_slots.setdefault((passage.leaf, passage.about), set())
                stated |= {
                    names.get(piece.fact or "", "")
                    for sentence in passage.sentences
                    for piece in sentence.pieces
                }
    for leaf in outline.leaves:
        if leaf not in leaves:
            yield f"leaf {leaf} has no part in the report"
    for leaf, job in jobs.items():
        document = document_of(job)
        for name, row in tables.measures(job.kind).items():
            about = row.get("passage", "")
            if about in _OF_LEAF and _present(row, document):
                stated = in_slots.get((leaf, about), set())
                if name not in stated and f"{name}.0" not in stated:
                    yield f"leaf {leaf}: {name} is not stated in {about}"


def _present(row: tables.Row, document: Mapping[str, Any]) -> bool:
    if row.get("select") or row.get("where") or row.get("entries"):
        return False  # what they find is checked as a fact
    value = resolve(document, str(row["pointer"]).replace("*", "0"))
    if value is MISSING or value is None or isinstance(value, bool):
        return False
    if row.get("type") == "word":
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, int | float) and (
        value == 0 or _SMALLEST <= abs(value) <= _LARGEST
    )


def _plots(report: Report, jobs: Mapping[str, EndedJob]) -> Iterator[str]:
    for section in report.sections:
        for part in section.parts:
            for plot in part.plots:
                yield from _plot(plot, part, jobs)


def _plot(plot: Plot, part: Part, jobs: Mapping[str, EndedJob]) -> Iterator[str]:
    job = jobs.get(part.leaf)
    if job is None or job.result is None:
        yield f"{part.id}: a plot without a result"
        return
    trace = job.result.get("trace") or []
    check = (job.result.get("verification") or {}).get("checks") or {}
    stored = (job.result.get("summary"), check, job.result.get("objective"))
    numbers = {number for value in stored for number in _numbers(value)}
    for curve in plot.curves:
        if curve.value is not None and curve.value not in numbers:
            yield f"{part.id}: the bar {curve.name!r} is not in the result"
        if plot.type == "lines":
            yield from _line(curve, part, job.spec, check)
            continue
        of_trace = {(p.get("elapsed_s"), p.get(curve.name)) for p in trace}
        if not set(curve.points) <= of_trace:
            yield f"{part.id}: the curve {curve.name!r} is not that of the trace"


def _line(
    curve: Curve, part: Part, spec: Mapping[str, Any], check: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a fault unless a line is that of the check, or a limit between a band's edges."""
    s11 = check.get("s11") or {}
    edges = [(band["f_lo_hz"], band["f_hi_hz"]) for band in spec.get("bands") or []]
    limits = [
        tuple((x, row["limit_db"]) for x in pair)
        for pair, row in zip(edges, check.get("bands") or [], strict=False)
    ]
    whole = tuple(zip(s11.get("f_hz") or [], s11.get("db") or [], strict=True))
    if curve.points != whole and curve.points not in limits:
        yield f"{part.id}: the curve {curve.name!r} is not that of the check"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
