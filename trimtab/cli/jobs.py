"""Commands on one job: show, name, stop, delete, and fetch what it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli import bars
from trimtab.cli.terminal import AsJson, JobId, labels_of, out, show
from trimtab.cli.terminal import client as connect
from trimtab.results import PRINTED, EventType


def get(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job."""
    with connect() as client:
        show(client.job(job_id).view, as_json)


def logs(
    job_id: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines until the job ends.")
    ] = False,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Length of the end to print.")
    ] = 65_536,
) -> None:
    """Show what the engines of a job (HiGHS, SCIP, openEMS) have printed."""
    with connect() as client:
        job = client.job(job_id)
        if not follow:
            if text := job.log(max_bytes):
                print(text)
            return
        for event in job.events():
            if event.type is EventType.LOG and event.data.get("level") == PRINTED:
                print(event.data["message"], flush=True)


def rename(
    job_id: JobId,
    name: Annotated[
        str | None, typer.Argument(help="New name; an empty one removes it.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE, in place of all labels; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the name or the labels of a job, in every state."""
    if name is None and label is None:
        raise typer.BadParameter("NAME: expected a name or --label, got neither")
    with connect() as client:
        labels = None if label is None else labels_of(label)
        show(client.job(job_id).rename(name, labels=labels), as_json)


VERBS = {
    "stop": "End a job now and keep its best solution.",
    "cancel": "End a job now and discard its solution.",
    "retry": "Run a failed, dead or cancelled job again.",
}


def verb(name: str) -> Callable[..., None]:
    """Return the command of a verb: it calls that method of a job and shows the job."""

    def command(job_id: JobId, as_json: AsJson = False) -> None:
        with connect() as client:
            show(getattr(client.job(job_id), name)(), as_json)

    return command


def delete(job_id: JobId, as_json: AsJson = False) -> None:
    """Remove an ended job and its files."""
    with connect() as client:
        client.job(job_id).delete()
    if as_json:
        out({"deleted": job_id})


def download(
    job_id: JobId,
    name: Annotated[str, typer.Argument(help="Name of a file that the job produced.")],
    to: Annotated[
        Path | None, typer.Option(help="File or folder to write; default: this folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a file that a job produced, and verify its digest."""
    with (
        connect() as client,
        bars.transfer(f"download {name}", quiet=as_json) as progress,
    ):
        path = client.job(job_id).download(name, to, progress=progress)
    out({"path": str(path)}) if as_json else print(path)


def incumbent(
    job_id: JobId,
    to: Annotated[
        Path | None, typer.Option(help="File to write; default: standard output.")
    ] = None,
) -> None:
    """Show the values of the best solution so far of a job of kind ilp, as JSON."""
    with connect() as client:
        best = client.job(job_id).incumbent()
    text = best.model_dump_json(indent=1)
    if to is None:
        print(text)
        return
    to.write_text(text + "\n", encoding="utf-8")
    print(to)
