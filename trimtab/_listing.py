"""Filters and order of a list of jobs as query parameters. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from trimtab.errors import NotFound
from trimtab.results import JobSort, JobState, ListView, Problem

NEWEST_FIRST = f"-{JobSort.CREATED}"

Params = dict[str, str | list[str]]


def listing(
    *,
    search: str | None = None,
    state: JobState | str | Sequence[JobState | str] | None = None,
    kind: str | Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    model: str | None = None,
    graph: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    sort: str = NEWEST_FIRST,
) -> Params:
    """Return the parameters that differ from the defaults; see `AsyncClient.jobs`.

    Raises ValueError for an order that does not exist.
    """
    orders = [str(one) for one in JobSort]
    if sort.removeprefix("-") not in orders:
        raise ValueError(
            f"sort: expected one of {', '.join(orders)}, each also with - before it, got {sort!r}"
        )
    params: dict[str, str | list[str] | None] = {
        "q": search,
        "state": _several(state),
        "kind": _several(kind),
        "label": [f"{key}:{value}" for key, value in (labels or {}).items()],
        "model": model,
        "graph": graph,
        "created_after": _moment(created_after),
        "created_before": _moment(created_before),
        "sort": sort if sort != NEWEST_FIRST else None,
    }
    return {name: value for name, value in params.items() if value}


def listing_query(**filters: Any) -> str:
    """Return filters and order as a query string, for a saved view."""
    return urlencode(listing(**filters), doseq=True)


def over_view(params: Params, views: Iterable[ListView], name: str) -> Params:
    """Return the parameters of a saved view, replaced by those given. Raises NotFound."""
    by_name = {view.name: view for view in views}
    if name not in by_name:
        names = ", ".join(sorted(by_name)) or "none"
        raise NotFound(
            Problem(
                type="urn:trimtab:problem:not-found",
                title="Not found",
                status=404,
                detail=f"no saved view {name!r}; views: {names}",
            )
        )
    merged: Params = {}
    for key, text in parse_qsl(by_name[name].query):
        before = merged.setdefault(key, [])
        assert isinstance(before, list)
        before.append(text)
    return merged | params


def _several(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [str(value)] if isinstance(value, str) else [str(one) for one in value]


def _moment(value: datetime | str | None) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else value
