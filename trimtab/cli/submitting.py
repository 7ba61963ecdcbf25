"""Commands that submit jobs: a file, or a file of requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.cli import bars, live
from trimtab.cli.following import detachable, follow, wait_for
from trimtab.cli.reports import print_report
from trimtab.cli.server import run_module
from trimtab.cli.terminal import AsJson, labels_of, out, say, show
from trimtab.cli.terminal import client as connect
from trimtab.client import Client, Job
from trimtab.faults import shown
from trimtab.specs.by_file import described, set_field
from trimtab.specs.common import Budget, JobRequest, Webhook

_FILE_HELP = (
    "A .json file with a spec or a request, or an input file, whose name chooses the kind "
    f"({described()})."
)
_MODEL_HELP = "Fitted model to use: auto, shipped, or an id of `trimtab models list`."
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
        "labels": labels_of(label),
        "after": after,
        **({} if model is None else {"model": model}),
        **({} if name is None else {"name": name}),
    }
    fields = _fields(setting)
    with connect() as client:
        if _is_request(file, kind, fields):
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
        with detachable(job):
            if watch:
                follow(job)
            elif wait or report:
                wait_for(job, timeout)
            if report:
                print_report(client, job, "json" if as_json else "text")
            else:
                show(job.view, as_json)
        if watch or wait or report:
            raise typer.Exit(live.exit_code(job.view))


def _is_request(file: Path, kind: str | None, fields: Mapping[str, Any]) -> bool:
    """Return whether a file is a spec or request; with a target it is data to learn from."""
    return file.suffix == ".json" and not (kind == "learn" and "target" in fields)


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
            out(wait_for(job).model_dump(mode="json"))
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
