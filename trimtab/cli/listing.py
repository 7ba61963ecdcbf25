"""The list of jobs, and its saved views."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from trimtab.cli.terminal import AsJson, labels_of, out, say
from trimtab.cli.terminal import client as connect
from trimtab.results import JobSort, JobState, JobView

_SORT_HELP = f"One of {', '.join(JobSort)}; - before it: descending. Without value: last."


def list_jobs(
    search: Annotated[
        str | None,
        typer.Option(
            "--search", "-q", help="Words in name, id, labels or failure, all of them."
        ),
    ] = None,
    state: Annotated[
        list[JobState] | None,
        typer.Option(case_sensitive=False, help="Only jobs in this state; repeatable."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only jobs of this kind; repeatable.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Only jobs with this label, KEY=VALUE; repeatable."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Only jobs that name this fitted model.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Submitted on this day or time, or later.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="Submitted on this day or before this time.")
    ] = None,
    sort: Annotated[str, typer.Option(help=_SORT_HELP)] = "-created",
    view: Annotated[str | None, typer.Option(help="Name of a saved view.")] = None,
    save: Annotated[
        str | None, typer.Option(help="Save these filters as a view of this name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Jobs to show at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first: id, kind, state, submission, objective, name, labels."""
    filters: dict[str, Any] = {
        "search": search,
        "state": state,
        "kind": kind,
        "labels": labels_of(label),
        "model": model,
        "created_after": after,
        "created_before": before,
        "sort": sort,
    }
    with connect() as client:
        if save is not None:
            client.save_view(save, **filters)
            say(f"saved the view {save!r}")
        pages = client.jobs(**filters, view=view, page_size=min(limit, 100))
        shown = 0
        for row in islice(pages, limit):
            shown += 1
            if as_json:
                out(row.model_dump(mode="json"))
            else:
                print(_line(row))
        if not shown:
            say("no job; `trimtab list` without filters shows all of them")


def _line(view: JobView) -> str:
    """Return a job as one line of the list."""
    best = view.best.objective if view.best is not None else None
    objective = "-" if best is None else f"{best:.6g}"
    labels = " ".join(f"{key}={value}" for key, value in sorted(view.labels.items()))
    submitted = f"{view.created_at:%Y-%m-%d %H:%M:%S}"
    parts = [view.id, f"{view.kind:9}", f"{view.state:17}", submitted, f"{objective:>12}"]
    return "  ".join([*parts, *filter(None, [view.name, labels])]).rstrip()


def views(
    delete: Annotated[
        str | None, typer.Option("--delete", help="Delete the view of this name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the saved views of the job list, or delete one."""
    with connect() as client:
        if delete is not None:
            client.delete_view(delete)
        found = client.views()
        for saved in found:
            if as_json:
                out(saved.model_dump(mode="json"))
            else:
                print(f"{saved.name}\t{saved.query}")
        if not found:
            say("no saved view; `trimtab list --save NAME` saves filters as one")
