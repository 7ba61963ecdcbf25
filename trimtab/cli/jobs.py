"""Commands on jobs: submit, follow, control, report, download, batch."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trimtab import comparison
from trimtab._plan import Plan
from trimtab.cli import bars, live, live_plan
from trimtab.cli.server import run_module
from trimtab.cli.terminal import AsJson, JobId, out, say, say_failure, show
from trimtab.cli.terminal import client as connect
from trimtab.client import Client, Job
from trimtab.errors import JobAtRest
from trimtab.faults import shown
from trimtab.results import PRINTED, EventType, JobSort, JobState, JobView
from trimtab.specs.by_file import described, set_field
from trimtab.specs.common import Budget, JobRequest, Webhook

_FILE_HELP = (
    "A .json file with a spec or a request, or an input file, whose name chooses the kind "
    f"({described()})."
)


_MODEL_HELP = "Fitted model to use: auto, shipped, or an id of `trimtab models list`."
_SORT_HELP = f"One of {', '.join(JobSort)}; - before it: descending. Without value: last."
_AFTER_HELP = "Id of a job that must succeed before this one runs; repeatable."


def submit(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=_FILE_HELP)],
    kind: Annotated[
        str | None, typer.Option(help="Kind, when the file's name does not choose it.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.001, help="Wall-clock budget, seconds.")
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(min=1, help="Budget in evaluations, as the kind counts them."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the search.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE of the job; repeatable.")
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A .sol or .mst to start from (model files).",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="FIELD=VALUE of the spec, repeatable, e.g. objective=code_bytes.",
        ),
    ] = None,
    after: Annotated[list[str] | None, typer.Option(help=_AFTER_HELP)] = None,
    model: Annotated[str | None, typer.Option(help=_MODEL_HELP)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the job's end.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most; the job continues.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Wait, and print the report.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit an input file, or a spec or request as JSON."""
    options: dict[str, Any] = {
        "kind": kind,
        "seconds": seconds,
        "evaluations": evaluations,
        "seed": seed,
        "labels": _labels(label),
        "after": after,
        **({} if model is None else {"model": model}),
        **({} if name is None else {"name": name}),
    }
    fields = _fields(setting)
    with connect() as client:
        if file.suffix == ".json":
            if warm_start is not None or fields:
                raise typer.BadParameter(
                    "--warm-start, --set: expected an input file with them, got a JSON spec; "
                    "put the fields into the spec"
                )
            job = _submit_json(client, file, options)
        else:
            inputs = {"warm_start": warm_start, "fields": fields, "seed": seed or 0}
            with bars.transfer(f"upload {file.name}", quiet=as_json) as progress:
                job = client.submit_file(file, progress=progress, **(options | inputs))
        say(f"submitted {job.id}")
        with _detachable(job):
            if watch:
                _watch(job)
            elif wait or report:
                job.wait(timeout)
            if report:
                _report(client, job, "json" if as_json else "text")
            else:
                show(job.view, as_json)
        if watch or wait or report:
            raise typer.Exit(live.exit_code(job.view))


def _fields(settings: list[str] | None) -> dict[str, Any]:
    """Return the fields of a spec out of texts FIELD=VALUE."""
    fields: dict[str, Any] = {}
    for text in settings or ():
        set_field(fields, text)
    return fields


def _submit_json(client: Client, file: Path, options: dict[str, Any]) -> Job:
    """Submit a file with a request, or with a spec alone."""
    try:
        body = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise typer.BadParameter(f"{file.name}: expected JSON, got: {error}") from None
    if not isinstance(body, dict):
        raise typer.BadParameter(
            f"{file.name}: expected an object with a request or a spec, got "
            f"{shown((), body)}"
        )
    request = body if "spec" in body else {"spec": body}
    if "spec" not in body and "kind" in body:
        raise typer.BadParameter(
            f"{file.name}: expected `spec` beside `kind`, got a request without it; put the "
            'fields of the kind into "spec"'
        )
    if not (options.get("kind") or request.get("kind")):
        raise typer.BadParameter(
            f"{file.name}: expected a kind, got a spec alone; add --kind, e.g. --kind sharding"
        )
    return _submit_request(client, request, **options)


def _submit_request(
    client: Client, request: dict[str, Any], *, key: str | None = None, **options: Any
) -> Job:
    """Submit a request as the wire has it. Options of the command line win over its fields."""
    if unknown := sorted(set(request) - set(JobRequest.model_fields)):
        raise typer.BadParameter(
            f"request: expected fields {', '.join(JobRequest.model_fields)}, "
            f"got {unknown[0]!r}; remove it"
        )
    chosen: dict[str, Any] = {
        name: request[name]
        for name in (
            "kind",
            "seed",
            "priority",
            "labels",
            "max_attempts",
            "after",
            "model",
            "name",
        )
        if name in request
    }
    for field, model in (("budget", Budget), ("webhook", Webhook)):
        if (value := request.get(field)) is None:
            continue
        if not isinstance(value, dict):
            raise typer.BadParameter(
                f"{field}: expected an object, got {shown((), value)}"
            )
        model(**value)  # refuses unknown fields by name
        chosen |= value if field == "budget" else {"webhook": value["url"]}
    chosen |= {name: value for name, value in options.items() if value not in (None, {})}
    return client.submit(request["spec"], idempotency_key=key, **chosen)


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job; Ctrl-C detaches and does not cancel. With --json: one line per event.

    Ends when a plan waits for its owner.
    """
    with connect() as client:
        job = client.job(job_id)
        if as_json:
            with _detachable(job):
                for event in job.events():
                    out(event.model_dump(mode="json"))
                    if live.goes_to_rest(event) and job.refresh().state.is_resting:
                        raise typer.Exit(live.AT_REST)
                raise typer.Exit(live.exit_code(job.wait()))
        view = _watch(job)
        say_failure(view)
        if view.state.is_resting:
            raise JobAtRest(view, client.endpoint.url)
        raise typer.Exit(live.exit_code(view))


def _watch(job: Job) -> JobView:
    with _detachable(job):
        if isinstance(job, Plan):
            return live_plan.follow(job)
        return live.watch(job, Console(stderr=True))


@contextlib.contextmanager
def _detachable(job: Job) -> Iterator[None]:
    """Say at Ctrl-C that the job continues, and exit with 130."""
    try:
        yield
    except KeyboardInterrupt:
        say(
            f"\ndetached; the job continues. `trimtab watch {job.id}` follows it again, "
            f"`trimtab stop {job.id}` ends it"
        )
        raise typer.Exit(130) from None


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
        "labels": _labels(label),
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
        labels = None if label is None else _labels(label)
        show(client.job(job_id).rename(name, labels=labels), as_json)


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


def _labels(texts: list[str] | None) -> dict[str, str]:
    for text in texts or ():
        if "=" not in text:
            raise typer.BadParameter(f"--label: expected KEY=VALUE, got {text!r}")
    return dict(text.split("=", 1) for text in texts or ())


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
        with _detachable(job):
            job.wait()
        _report(client, job, form)
        raise typer.Exit(live.exit_code(job.view))


def _report(client: Client, job: Job, form: str = "text") -> None:
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


def batch(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="One JSON request per line."),
    ],
    via_server: Annotated[
        bool, typer.Option("--via-server", help="Submit the jobs to the server.")
    ] = False,
) -> None:
    """Run a file of jobs here or over Ray (arguments go to `python -m workers batch`).

    With --via-server, submit them to the server instead and print each ended job.
    """
    if not via_server:
        run_module("workers", ["batch", str(file), *context.args])
    worst = 0
    with connect() as client:
        jobs = [
            _submit_request(client, request, key=key) for key, request in _lines(file)
        ]
        for job in jobs:
            out(job.wait().model_dump(mode="json"))
            worst = max(worst, live.exit_code(job.view))
    raise typer.Exit(worst)


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    # The idempotency key is made of line number and content: running the same file again finds
    # its jobs instead of submitting new ones.
    for number, line in enumerate(file.read_text().splitlines()):
        if line.strip():
            yield (
                hashlib.sha256(f"{number}:{line}".encode()).hexdigest(),
                json.loads(line),
            )
