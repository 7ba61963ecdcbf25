"""Housekeeping commands: retention, usage, files, webhook deliveries, audit log, keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trimtab.cli.terminal import AsJson, out, say
from trimtab.cli.terminal import client as connect
from trimtab.upkeep import RetentionReport, RetentionRule

app = typer.Typer(
    no_args_is_help=True,
    help="Housekeeping: retention, usage, files, webhooks, audit log, keys.",
)
Tenant = Annotated[
    str | None, typer.Option(help="Another tenant (admin). Default: the key's own.")
]
JobDays = Annotated[
    float | None, typer.Option(help="Remove jobs that ended more days ago.")
]
JobCount = Annotated[int | None, typer.Option(help="Keep so many ended jobs.")]
JobStates = Annotated[
    list[str] | None,
    typer.Option("--job-state", help="Only jobs that ended in this state; repeatable."),
]
EventDays = Annotated[
    float | None, typer.Option(help="Remove events of jobs that ended more days ago.")
]
EventCount = Annotated[
    int | None, typer.Option(help="Keep so many events of ended jobs, of the newest.")
]
FileDays = Annotated[
    float | None, typer.Option(help="Remove files older than so many days.")
]
FileCount = Annotated[int | None, typer.Option(help="Keep so many files, the newest.")]
FileBytes = Annotated[int | None, typer.Option(help="Keep so many bytes of files.")]
Preview = Annotated[
    bool,
    typer.Option("--dry-run", help="Count what the rule would remove; store nothing."),
]


@app.command()
def retention(
    tenant: Tenant = None,
    run: Annotated[bool, typer.Option("--run", help="Apply the rules now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the retention rules of a tenant, or apply them now."""
    with connect() as client:
        if not run:
            out(client.retention(tenant).model_dump(mode="json", exclude_none=True))
            return
        while True:
            report = client.run_retention(tenant)
            _show(report, as_json)
            if report.complete:
                return


@app.command()
def retain(
    job_days: JobDays = None,
    job_count: JobCount = None,
    job_states: JobStates = None,
    event_days: EventDays = None,
    event_count: EventCount = None,
    file_days: FileDays = None,
    file_count: FileCount = None,
    file_bytes: FileBytes = None,
    tenant: Tenant = None,
    dry_run: Preview = False,
    as_json: AsJson = False,
) -> None:
    """Replace the retention rule of a tenant; without limits, nothing is removed any more."""
    limits: dict[str, Any] = {
        "job_days": job_days,
        "job_count": job_count,
        "job_states": [state.upper() for state in job_states or ()] or None,
        "event_days": event_days,
        "event_count": event_count,
        "file_days": file_days,
        "file_count": file_count,
        "file_bytes": file_bytes,
    }
    rule = RetentionRule(**limits)
    with connect() as client:
        if dry_run:
            _show(client.preview_retention(rule, tenant=tenant), as_json)
        else:
            stored = client.set_retention(rule, tenant=tenant)
            out(stored.model_dump(mode="json", exclude_none=True))


def _show(report: RetentionReport, as_json: bool) -> None:
    if as_json:
        out(report.model_dump(mode="json"))
        return
    verb = "would remove" if report.dry_run else "removed"
    print(
        f"{report.tenant}: {verb} {report.jobs} jobs, {report.events} events, "
        f"{report.files} files ({report.file_bytes} bytes); kept because in use: "
        f"{report.protected_jobs} jobs, {report.protected_files} files"
    )


@app.command()
def usage(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Show jobs, events, files, bytes and seconds of a tenant; for an admin of every one."""
    with connect() as client:
        found = client.usage(tenant)
    if as_json:
        out([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        busy_s = sum(kind.busy_s for kind in one.kinds.values())
        print(
            f"{one.tenant:<20}  {sum(one.jobs.values())} jobs  {one.events} events  "
            f"{one.files} files  {one.file_bytes} bytes  {busy_s:.0f} s"
        )


@app.command()
def files(
    delete: Annotated[
        list[str] | None, typer.Option(help="Digest of a file to delete; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the tenant's files, newest first, or delete some."""
    with connect() as client:
        for digest in delete or ():
            client.delete_artifact(digest)
            say(f"deleted {digest}")
        if delete:
            return
        found = client.stored_files()
    if as_json:
        out([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        use = "in use" if one.in_use else "      "
        print(f"{one.digest}  {one.size_bytes:>12}  {use}  {one.name}")
    if not found:
        say("no file is stored")


@app.command()
def deliveries(
    state: Annotated[
        list[str] | None,
        typer.Option(help="waiting, delivered or given up; repeatable."),
    ] = None,
    resend: Annotated[
        list[str] | None,
        typer.Option(help="Job whose webhook is sent again; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List webhook deliveries, newest jobs first, or send some again."""
    with connect() as client:
        found = (
            [client.resend_webhook(job_id) for job_id in resend]
            if resend
            else client.deliveries(states=state or ())
        )
    if as_json:
        out([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        code = "-" if one.status_code is None else one.status_code
        print(f"{one.job_id}  {one.state:<9}  {one.tries} tries  {code}  {one.detail}")
    if not found:
        say("no delivery; `trimtab submit` sends one for a request with a webhook")


@app.command()
def audit(
    tenant: Annotated[str | None, typer.Option(help="Of the caller's key.")] = None,
    action: Annotated[
        str | None, typer.Option(help="An act such as key.revoke, or `key`.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Id that it was about.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Entries at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Read the audit log (admin), newest first."""
    with connect() as client:
        found = client.audit(tenant=tenant, action=action, target=target, limit=limit)
    if as_json:
        out([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        who = f"{one.tenant}/{one.key_id}" if one.key_id else "server"
        print(
            f"{one.at:%Y-%m-%d %H:%M:%S}  {who}  {one.address}  {one.action}  {one.target}"
        )
    if not found:
        say("no entry of the audit log matches these filters")


@app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="Id of the key.")],
    overlap: Annotated[
        float, typer.Option(min=0, help="Hours for which the old secret still works.")
    ] = 24.0,
) -> None:
    """Replace the secret of a key; JSON on stdout, with the new key."""
    with connect() as client:
        out(client.rotate_key(key_id, overlap_s=overlap * 3600))
