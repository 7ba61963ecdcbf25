"""The commands. Results go to stdout; everything meant for people while it runs goes to stderr.

Exit codes: 0 ok, 1 job failed, 2 usage, 3 server unreachable, 4 not allowed, 5 not found, 6 conflict,
7 job cancelled or dead, 8 timed out, 9 any other error of the server, 130 interrupted.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx2
import typer
from rich.console import Console
from rich.table import Table

from trimtab import __version__
from trimtab._core import Call, RetryPolicy
from trimtab.cli import bars, live, server_code
from trimtab.client import Client, Job
from trimtab.errors import (
    AuthError,
    BadRequest,
    ConfigError,
    Conflict,
    ConnectionFailed,
    NotFound,
    SpecError,
    TrimtabError,
    Unavailable,
    WaitTimeout,
)
from trimtab.results import JobState, JobView
from trimtab.specs.by_file import set_field
from trimtab.specs.common import JobRequest

CONTACT_S = 2.0  # a server that has never answered
SLOW_S = 2.5  # an answer that takes longer is worth a line
ANSWER_S = 15.0  # one try of one request

app = typer.Typer(
    name="trimtab", no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False
)

_CODES: tuple[tuple[type[TrimtabError], int], ...] = (
    (SpecError, 2),
    (ConnectionFailed, 3),
    (ConfigError, 3),
    (Unavailable, 3),
    (AuthError, 4),
    (NotFound, 5),
    (Conflict, 6),
    (WaitTimeout, 8),
    (BadRequest, 2),
    (TrimtabError, 9),
)
AsJson = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]
JobId = Annotated[str, typer.Argument(help="Job id.")]


def _version(given: bool) -> None:
    if given:
        print(f"trimtab {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Options of every command."""


def run() -> NoReturn:
    """Run the command line and exit with a code that means something."""
    try:
        app()
    except TrimtabError as error:
        print(f"trimtab: {error}", file=sys.stderr)
        sys.exit(next(code for kind, code in _CODES if isinstance(error, kind)))
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"trimtab: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _client() -> Client:
    """A client that says what it waits for, and gives up soon on a server that has never answered."""
    shown = 0.0

    def on_pause(reason: str, left_s: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= 5.0:  # the first at once, then a line now and then
            shown = time.monotonic()
            _say(
                f"trimtab: waiting for {reason}; giving up in {left_s:.0f} s (Ctrl-C ends it now)"
            )

    return _Talkative(
        retry=RetryPolicy(contact_s=CONTACT_S, on_pause=on_pause), timeout_s=ANSWER_S
    )


class _Talkative(Client):
    """Says so when an answer takes long. A long poll is meant to."""

    def _send(self, sent: Call, **more: Any) -> httpx2.Response:
        if sent.operation in ("wait", "upload"):
            return super()._send(sent, **more)
        slow = threading.Timer(
            SLOW_S, _say, [f"trimtab: waiting for an answer of {self.endpoint.url}"]
        )
        slow.daemon = True
        slow.start()
        try:
            return super()._send(sent, **more)
        finally:
            slow.cancel()


def _out(value: Any) -> None:
    print(json.dumps(value, allow_nan=False), flush=True)


def _show(view: JobView, as_json: bool) -> None:
    if as_json:
        _out(view.model_dump(mode="json"))
    else:
        print(f"{view.id}  {view.kind}  {view.state}")
        _say_why(view)
        if view.webhook is not None:
            detail = f": {view.webhook.detail}" if view.webhook.detail else ""
            _say(f"webhook {view.webhook.state} ({view.webhook.tries} tries){detail}")


def _say_why(view: JobView) -> None:
    """Of a job that failed: the reason, a compiler's own message included."""
    if view.state is JobState.FAILED and view.termination is not None:
        _say(
            f"{view.termination.reason.value}: {view.termination.detail or 'no more is known'}"
        )


def _table(rows: list[tuple[str, str]]) -> None:
    table = Table(show_header=False)
    for name, text in rows:
        table.add_row(name, text)
    Console().print(table)


def _watch(job: Job) -> JobView:
    try:
        return live.watch(job, Console(stderr=True))
    except KeyboardInterrupt:
        _say(
            f"\ndetached; the job goes on. `trimtab watch {job.id}` comes back, `trimtab stop {job.id}` ends it"
        )
        raise typer.Exit(130) from None


def _report(client: Client, job: Job, form: str = "text") -> None:
    result = job.result() if job.refresh().state is JobState.SUCCEEDED else None
    rows = live.report(job.view, result, client.endpoint.url)
    if form == "json":
        _out(
            {
                "job": job.view.model_dump(mode="json"),
                "result": result and result.model_dump(mode="json"),
            }
        )
    elif form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(["elapsed_s", "objective", "bound", "gap", "source"])
        writer.writerows(
            [p.elapsed_s, p.objective, p.bound, p.gap, p.source]
            for p in (result.trace if result else ())
        )
    elif form == "markdown":
        print("| | |\n|---|---|")
        print(
            "\n".join(f"| {name} | {text.replace('|', '&#124;')} |" for name, text in rows)
        )
    else:
        _table(rows)


def _run_module(module: str, arguments: list[str]) -> NoReturn:
    try:
        environment = server_code.environment()
    except server_code.NoServer as missing:
        _say(str(missing))
        raise typer.Exit(2) from None
    command = server_code.python("-m", module, *arguments)
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter


_PASS = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASS)
def serve(context: typer.Context) -> None:
    """Start the server (all further arguments are passed on)."""
    _run_module("services", context.args)


@app.command()
def submit(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="A model or source, or a spec or request as JSON.",
        ),
    ],
    kind: Annotated[
        str | None, typer.Option(help="Kind, where the file's name does not tell it.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="Budget.")] = None,
    evaluations: Annotated[
        int | None, typer.Option(min=1, help="Budget; what one is, each kind says.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, repeatable.")] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A .sol or .mst to begin from (model files)."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="FIELD=VALUE of the spec, repeatable, e.g. objective=code_bytes."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch")] = False,
    wait: Annotated[bool, typer.Option("--wait")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most; the job goes on.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Print the report at the end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a model, a source, or a JSON spec."""
    labels = _labels(label)
    fields: dict[str, Any] = {}
    for text in setting or ():
        set_field(fields, text)
    with _client() as client:
        if file.suffix == ".json":
            if warm_start is not None or fields:
                raise typer.BadParameter(
                    "--warm-start and --set go with a file of a model or source; a JSON spec says it all"
                )
            body = json.loads(file.read_text())
            request = body if "spec" in body else {"spec": body}
            job = _submit_request(
                client,
                request,
                kind=kind,
                seconds=seconds,
                evaluations=evaluations,
                seed=seed,
                labels=labels,
            )
        else:
            with bars.transfer(f"upload {file.name}", quiet=as_json) as progress:
                job = client.submit_file(
                    file,
                    kind=kind,
                    warm_start=warm_start,
                    fields=fields,
                    seconds=seconds,
                    evaluations=evaluations,
                    seed=seed or 0,
                    labels=labels,
                    progress=progress,
                )
        _say(f"submitted {job.id}")
        if watch:
            _watch(job)
        elif wait or report:
            job.wait(timeout)
        if report:
            _report(client, job, "json" if as_json else "text")
        else:
            _show(job.view, as_json)
        if watch or wait or report:
            raise typer.Exit(live.exit_code(job.view))


def _submit_request(
    client: Client, request: dict[str, Any], *, key: str | None = None, **given: Any
) -> Job:
    """A request of the wire; options given on the command line win."""
    if unknown := sorted(set(request) - set(JobRequest.model_fields)):
        raise typer.BadParameter(
            f"the request has a field {unknown[0]!r}, which no request has; fields are {', '.join(JobRequest.model_fields)}"
        )
    known: dict[str, Any] = {
        name: request[name]
        for name in ("kind", "seed", "priority", "labels", "max_attempts")
        if name in request
    }
    known |= request.get("budget") or {}
    if request.get("webhook"):
        known["webhook"] = request["webhook"]["url"]
    known |= {name: value for name, value in given.items() if value not in (None, {})}
    return client.submit(request["spec"], idempotency_key=key, **known)


@app.command()
def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job; Ctrl-C detaches and does not cancel. With --json, each event is a line on stdout."""
    with _client() as client:
        if as_json:
            job = client.job(job_id)
            for event in job.events():
                _out(event.model_dump(mode="json"))
            raise typer.Exit(live.exit_code(job.wait()))
        view = _watch(client.job(job_id))
        _say_why(view)
        raise typer.Exit(live.exit_code(view))


@app.command("list")
def list_jobs(
    state: Annotated[
        JobState | None, typer.Option(case_sensitive=False, help="Only jobs in this state.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Only jobs with this label, KEY=VALUE; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first: id, kind, state, time of submission, objective, labels."""
    labels = _labels(label)
    with _client() as client:
        pages = client.jobs(
            state=state, kind=kind, labels=labels, page_size=min(limit, 100)
        )
        for _, view in zip(range(limit), pages, strict=False):
            if as_json:
                _out(view.model_dump(mode="json"))
            else:
                print(_line(view))


def _line(view: JobView) -> str:
    """A job as one line of the list."""
    best = view.best.objective if view.best is not None else None
    labels = " ".join(f"{key}={value}" for key, value in sorted(view.labels.items()))
    parts = [
        view.id,
        f"{view.kind:9}",
        f"{view.state:10}",
        f"{view.created_at:%Y-%m-%d %H:%M:%S}",
    ]
    return "  ".join(
        [*parts, f"{'-' if best is None else f'{best:.6g}':>12}", labels]
    ).rstrip()


def _labels(given: list[str] | None) -> dict[str, str]:
    for text in given or ():
        if "=" not in text:
            raise typer.BadParameter(f"--label: expected KEY=VALUE, got {text!r}")
    return dict(text.split("=", 1) for text in given or ())


@app.command()
def get(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job."""
    with _client() as client:
        _show(client.job(job_id).view, as_json)


def _verb(name: str, text: str) -> None:
    @app.command(name, help=text)
    def command(job_id: JobId, as_json: AsJson = False) -> None:
        with _client() as client:
            _show(getattr(client.job(job_id), name)(), as_json)


_verb("stop", "End a job now and keep its best.")
_verb("cancel", "End a job and discard it.")
_verb("retry", "Run an ended job again.")


@app.command()
def delete(job_id: JobId, as_json: AsJson = False) -> None:
    """Remove an ended job and what it left."""
    with _client() as client:
        client.job(job_id).delete()
    if as_json:
        _out({"deleted": job_id})


@app.command()
def result(job_id: JobId, as_json: AsJson = False) -> None:
    """Print the result of a job (waits for its end)."""
    report(job_id, as_json=as_json)


@app.command()
def report(
    job_id: JobId,
    markdown: Annotated[bool, typer.Option("--markdown")] = False,
    trace: Annotated[bool, typer.Option("--csv", help="The trace as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report on a job (waits for its end)."""
    with _client() as client:
        job = client.job(job_id)
        job.wait()
        _report(
            client,
            job,
            "json" if as_json else "csv" if trace else "markdown" if markdown else "text",
        )
        raise typer.Exit(live.exit_code(job.view))


@app.command()
def download(
    job_id: JobId,
    name: str,
    to: Annotated[Path | None, typer.Option()] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a file that a job left, verified by its digest."""
    with _client() as client, bars.transfer(f"download {name}", quiet=as_json) as progress:
        path = client.job(job_id).download(name, to, progress=progress)
    _out({"path": str(path)}) if as_json else print(path)


@app.command(context_settings=_PASS)
def batch(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A request of the wire per line."),
    ],
    via_server: Annotated[
        bool, typer.Option("--via-server", help="Submit through HTTP.")
    ] = False,
) -> None:
    """Run a file of jobs here or over Ray (arguments go to `python -m workers batch`), or through the server."""
    if not via_server:
        _run_module("workers", ["batch", str(file), *context.args])
    worst = 0
    with _client() as client:
        jobs = [_submit_request(client, request, key=key) for key, request in _lines(file)]
        for job in jobs:
            _out(job.wait().model_dump(mode="json"))
            worst = max(worst, live.exit_code(job.view))
    raise typer.Exit(worst)


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    # The key is made of line number and content: the same file again finds its jobs instead of making new ones.
    for number, line in enumerate(file.read_text().splitlines()):
        if line.strip():
            yield hashlib.sha256(f"{number}:{line}".encode()).hexdigest(), json.loads(line)


@app.command()
def kinds(as_json: AsJson = False) -> None:
    """What the server can run."""
    with _client() as client:
        for kind in client.kinds():
            _out(kind.model_dump(mode="json")) if as_json else print(
                f"{kind.kind}  {kind.summary}"
            )


@app.command()
def keys(
    create: Annotated[str | None, typer.Option(help="Name of a new key.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="Scope of the new key: viewer, submitter, operator or admin; repeatable."
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Tenant of the new key. Default: default.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            help="When the new key ends: a time (2027-01-31T12:00Z) or days from now (90d)."
        ),
    ] = None,
    revoke: Annotated[str | None, typer.Option(help="Id of a key to end.")] = None,
) -> None:
    """List, create or revoke API keys (admin); JSON on stdout."""
    if create is None and (scope or tenant or expires):
        raise typer.BadParameter(
            "--scope, --tenant and --expires: expected --create NAME with them, got none"
        )
    if create is not None and revoke is not None:
        raise typer.BadParameter("expected one of --create and --revoke, got both")
    with _client() as client:
        if create is not None:
            more = {
                "tenant": tenant,
                "expires_at": None if expires is None else _expiry(expires),
            }
            given = {name: value for name, value in more.items() if value is not None}
            _out(client.create_key(name=create, scopes=scope or ["submitter"], **given))
        elif revoke is not None:
            client.revoke_key(revoke)
        else:
            _out(client.keys())


def _expiry(text: str) -> str:
    """RFC 3339 time of `90d` or of a time with its offset."""
    try:
        if text.endswith("d") and text[:-1].isdecimal():
            moment = datetime.now(UTC) + timedelta(days=int(text[:-1]))
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--expires: expected a time such as 2027-01-31T12:00Z or 90d, got {text!r}"
        ) from None
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


@app.command("open")
def open_page(
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the URL; open no browser.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open the web page, signed in by a link that works once."""
    with _client() as client:
        url = client.page_url()
    if as_json:
        _out({"url": url})
    elif print_only or not webbrowser.open(url):
        print(url)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is here, what is missing and how to install it."""
    from trimtab.cli.doctor import examine

    checks = examine()
    for check in checks:
        if as_json:
            _out(
                {
                    "name": check.name,
                    "ok": check.ok,
                    "found": check.found,
                    "needed": check.needed,
                    "fix": check.fix,
                }
            )
        else:
            hint = f"   → {check.fix}" if not check.ok and check.fix else ""
            print(
                f"{'ok' if check.ok else 'MISSING' if check.needed else 'absent':8}{check.name:16}{check.found}{hint}"
            )
    raise typer.Exit(1 if any(check.needed and not check.ok for check in checks) else 0)
