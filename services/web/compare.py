"""Comparison of 2 to 8 jobs: curves on one axis, figures, differences of requests and results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from search.drawing.curves import step_curves
from services.errors import BadRequest
from services.gateway.deps import Context, Ctx, Principal, Viewer, visible_tenant
from services.gateway.views import input_view
from services.store.types import JobRecord
from services.web import formatting
from services.web.job_page import figures_of
from services.web.job_rows import failure
from services.web.page_context import signed_in
from services.web.page_route import PageRoute
from services.web.render import REPORT_HEADERS, pages_of
from trimtab.comparison import (
    FEWEST,
    MOST,
    compared_request,
    compared_result,
    differences,
)

LETTERS = "ABCDEFGH"
MAX_POINTS = 500  # of a curve in the page

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/compare")
async def compare(request: Request, context: Ctx, principal: Viewer) -> Response:
    """Show jobs side by side: `?jobs=A&jobs=B` or `?jobs=A,B`."""
    records = await _chosen(request, context, principal)
    now_us = await context.store.now_us()
    letters = LETTERS[: len(records)]
    query = "&".join(f"jobs={record.id}" for record in records)
    columns = [
        SimpleNamespace(
            letter=letter,
            id=record.id,
            title=record.name or record.id,
            kind=record.kind,
        )
        for letter, record in zip(letters, records, strict=True)
    ]
    requests = [compared_request(input_view(record)) for record in records]
    view = SimpleNamespace(
        columns=columns,
        rows=_figures(records, now_us, context),
        curves=f"/compare/curves.svg?{query}",
        lines=json.dumps(_lines(records)),
        curve_words=_curve_words(records),
        has_curves=any(_points(record) for record in records),
        one_kind=len({record.kind for record in records}) == 1,
        requests=differences(requests),
        results=differences([compared_result(record.result) for record in records]),
    )
    return pages_of(request).response(
        "compare.html", view=view, **signed_in(principal, active="/")
    )


@router.get("/compare/curves.svg")
async def curves(request: Request, context: Ctx, principal: Viewer) -> Response:
    """Draw the incumbents of the jobs on one axis."""
    records = await _chosen(request, context, principal)
    points = [_points(record) for record in records]
    until = max([1.0, *(run[-1][0] for run in points if run)])
    drawn = step_curves(
        {
            f"{letter}  {(record.name or record.id)[:70]}": [(t, y) for t, y, _ in run]
            for letter, record, run in zip(LETTERS, records, points, strict=False)
        },
        until=until,
        title="Best objective over time",
    )
    return Response(drawn, media_type="image/svg+xml", headers=dict(REPORT_HEADERS))


async def _chosen(
    request: Request, context: Context, principal: Principal
) -> list[JobRecord]:
    """Return the jobs of the query, in its order. Raises BadRequest and NotFound."""
    named = ",".join(request.query_params.getlist("jobs"))[:2_000].split(",")
    ids = list(dict.fromkeys(job_id for job_id in map(str.strip, named) if job_id))
    if not FEWEST <= len(ids) <= MOST:
        raise BadRequest(
            f"jobs: expected {FEWEST} to {MOST} different jobs, got {len(ids)}",
            fix="choose them in the list of jobs, and then Compare chosen jobs",
        )
    tenant = visible_tenant(principal)
    return [await context.store.get(job_id, tenant=tenant) for job_id in ids]


def _points(job: JobRecord) -> list[tuple[float, float, float | None]]:
    """Return (seconds, objective, bound) of the incumbents, thinned out, in order of time."""
    trace = (job.result or {}).get("trace") or ([job.best] if job.best else [])
    points = []
    objective: float | None = None
    bound: float | None = None
    for point in trace:
        if (value := _finite(point.get("objective"))) is not None:
            objective = value
        if (value := _finite(point.get("bound"))) is not None:
            bound = value
        at_s = _finite(point.get("elapsed_s"))
        if objective is not None and at_s is not None:
            points.append((at_s, objective, bound))
    if len(points) > MAX_POINTS:
        step = len(points) / (MAX_POINTS - 1)
        points = [points[int(n * step)] for n in range(MAX_POINTS - 1)] + points[-1:]
    return points


def _finite(value: Any) -> float | None:
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable else None


def _lines(records: Sequence[JobRecord]) -> list[dict[str, Any]]:
    """Return the curves for the script."""
    return [
        {
            "label": letter,
            "points": [
                [round(t, 4), objective, bound] for t, objective, bound in _points(record)
            ],
        }
        for letter, record in zip(LETTERS, records, strict=False)
    ]


def _curve_words(records: Sequence[JobRecord]) -> str:
    """Return the curves in words."""
    parts = []
    for letter, record in zip(LETTERS, records, strict=False):
        run = _points(record)
        if not run:
            parts.append(f"{letter}: no incumbent")
            continue
        first, last = formatting.figure(run[0][1]), formatting.figure(run[-1][1])
        parts.append(
            f"{letter}: from {first} to {last} in {formatting.seconds(run[-1][0])}"
        )
    return "; ".join(parts) + "."


def _figures(
    records: Sequence[JobRecord], now_us: int, context: Context
) -> list[SimpleNamespace]:
    """Return the rows of figures; the best value of a row is marked where it is comparable."""
    figures = [figures_of(record, now_us) for record in records]
    kinds = {record.kind for record in records}
    senses = {figure["sense"] for figure in figures}
    comparable = len(kinds) == 1 and len(senses) == 1
    kind = context.kinds.get(records[0].kind) if comparable else None
    unit = kind.spec.unit_of(records[0].spec) if kind is not None else ""
    lower = senses == {"minimize"}
    objectives = [figure["objective"] for figure in figures]
    gaps = [figure["gap"] for figure in figures]
    best = _best(objectives, lower=lower) if comparable else set()
    rows = [
        ("State", [formatting.STATE_WORDS[record.state] for record in records], set()),
        (f"Best objective{f', {unit}' if unit else ''}", _texts(objectives), best),
        ("Bound", _texts([figure["bound"] for figure in figures]), set()),
        ("Gap", [formatting.percent(gap) for gap in gaps], _best(gaps, lower=True)),
        ("Run time", [figure["ran"] for figure in figures], set()),
        ("Check", [_verdict(record) for record in records], set()),
        ("End", [_end(record) for record in records], set()),
        ("Labels", [_labels(record.labels) for record in records], set()),
    ]
    return [
        SimpleNamespace(
            title=title,
            cells=[
                SimpleNamespace(text=text, best=index in marked)
                for index, text in enumerate(texts)
            ],
        )
        for title, texts, marked in rows
    ]


def _best(values: Sequence[float | None], *, lower: bool) -> set[int]:
    """Return the indices of the best value; none where all are equal or only one is known."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return set()
    best = min(known) if lower else max(known)
    return {index for index, value in enumerate(values) if value == best}


def _texts(values: Sequence[float | None]) -> list[str]:
    return [formatting.figure(value) for value in values]


def _verdict(job: JobRecord) -> str:
    status = (job.result or {}).get("verification", {}).get("status")
    return {"valid": "Valid", "invalid": "Invalid"}.get(str(status), "Not checked")


def _end(job: JobRecord) -> str:
    return failure(job) or formatting.termination(job.termination) or "–"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "–"
