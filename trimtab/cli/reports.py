"""What an ended job found: its result as a report, and a comparison of jobs."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trimtab import comparison
from trimtab.cli import live
from trimtab.cli.following import detachable, wait_for
from trimtab.cli.terminal import AsJson, JobId, out
from trimtab.cli.terminal import client as connect
from trimtab.client import Client, Job
from trimtab.results import JobState


def result(job_id: JobId, as_json: AsJson = False) -> None:
    """Wait for a job's end and print its result."""
    report(job_id, as_json=as_json)


def report(
    job_id: JobId,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="A table in Markdown.")
    ] = False,
    trace: Annotated[bool, typer.Option("--csv", help="The trace as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Wait for a job's end and print a report."""
    form = "json" if as_json else "csv" if trace else "markdown" if markdown else "text"
    with connect() as client:
        job = client.job(job_id)
        with detachable(job):
            wait_for(job)
        print_report(client, job, form)
        raise typer.Exit(live.exit_code(job.view))


def print_report(client: Client, job: Job, form: str = "text") -> None:
    """Print the report of an ended job, in the form text, markdown, csv or json."""
    result = job.result() if job.refresh().state is JobState.SUCCEEDED else None
    rows = live.report(job.view, result, client.endpoint.url)
    match form:
        case "json":
            body = result and result.model_dump(mode="json")
            out({"job": job.view.model_dump(mode="json"), "result": body})
        case "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow(["elapsed_s", "objective", "bound", "gap", "source"])
            for point in result.trace if result else ():
                writer.writerow(
                    [
                        point.elapsed_s,
                        point.objective,
                        point.bound,
                        point.gap,
                        point.source,
                    ]
                )
        case "markdown":
            print("| | |\n|---|---|")
            for name, text in rows:
                print(f"| {name} | {text.replace('|', '&#124;')} |")
        case _:
            table = Table(show_header=False)
            for name, text in rows:
                table.add_row(name, text)
            Console().print(table)


def compare(
    job_ids: Annotated[list[str], typer.Argument(help="Ids of 2 to 8 jobs.")],
    as_json: AsJson = False,
) -> None:
    """Compare jobs: figures, and what differs in their requests and results."""
    try:
        chosen = comparison.different(job_ids)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with connect() as client:
        compared = client.compare(chosen)
    if as_json:
        out(compared)
        return
    table = Table(title=None)
    for title in ("", *(view["name"] or view["id"] for view in compared["jobs"])):
        table.add_column(Text(title), overflow="fold")
    for part in ("figures", "request", "result"):
        table.add_section()
        for path, values in compared[part].items():
            table.add_row(*map(Text, (path, *values)))
    Console().print(table)
