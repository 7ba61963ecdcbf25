"""Commands on the server and this machine: serve, kinds, keys, open, doctor."""

from __future__ import annotations

import os
import webbrowser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from trimtab.cli import server_code
from trimtab.cli.terminal import AsJson, out, say
from trimtab.cli.terminal import client as connect


def run_module(module: str, arguments: list[str]) -> NoReturn:
    """Replace this process by `python -m module`, run with the server's code."""
    try:
        environment = server_code.environment()
    except server_code.NoServer as missing:
        say(str(missing))
        raise typer.Exit(2) from None
    command = server_code.python("-m", module, *arguments)
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter


def serve(context: typer.Context) -> None:
    """Start the server; all further arguments go to it."""
    run_module("services", context.args)


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The .tar to write.")],
) -> None:
    """Write database, files and keys of this machine's server as a .tar, while it runs.

    Further arguments go to `python -m services.backup` (`--data-dir`).
    """
    run_module("services.backup", ["create", str(file), *context.args])


def restore(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A .tar of `trimtab backup`."),
    ],
) -> None:
    """Unpack a backup into a data folder without a server, checked against its digests."""
    run_module("services.backup", ["restore", str(file), *context.args])


def kinds(as_json: AsJson = False) -> None:
    """List the kinds of job that the server runs."""
    with connect() as client:
        for kind in client.kinds():
            if as_json:
                out(kind.model_dump(mode="json"))
            else:
                print(f"{kind.kind}  {kind.summary}")


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
            help="Expiry of the new key: a time (2027-01-31T12:00Z) or days from now (90d)."
        ),
    ] = None,
    revoke: Annotated[str | None, typer.Option(help="Id of a key to revoke.")] = None,
) -> None:
    """List, create or revoke API keys (admin); JSON on stdout."""
    if create is None and (scope or tenant or expires):
        raise typer.BadParameter(
            "--scope, --tenant and --expires: expected --create NAME with them, got none"
        )
    if create is not None and revoke is not None:
        raise typer.BadParameter("expected one of --create and --revoke, got both")
    with connect() as client:
        if create is not None:
            more = {
                "tenant": tenant,
                "expires_at": None if expires is None else _expiry(expires),
            }
            fields = {name: value for name, value in more.items() if value is not None}
            out(client.create_key(name=create, scopes=scope or ["submitter"], **fields))
        elif revoke is not None:
            client.revoke_key(revoke)
        else:
            out(client.keys())


def _expiry(text: str) -> str:
    """Return the RFC 3339 time of `90d` (days from now) or of a time."""
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


def open_page(
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the URL; open no browser.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open the web page, signed in by a link that works once."""
    with connect() as client:
        url = client.page_url()
    if as_json:
        out({"url": url})
    elif print_only or not webbrowser.open(url):
        print(url)


def doctor(as_json: AsJson = False) -> None:
    """Report what this machine has, what it lacks and how to install it."""
    from trimtab.cli.doctor import examine

    checks = examine()
    for check in checks:
        if as_json:
            names = ("name", "ok", "found", "needed", "fix")
            out({name: getattr(check, name) for name in names})
        else:
            state = "ok" if check.ok else "MISSING" if check.needed else "absent"
            hint = f"   → {check.fix}" if not check.ok and check.fix else ""
            print(f"{state:8}{check.name:17}{check.found}{hint}")
    raise typer.Exit(1 if any(check.needed and not check.ok for check in checks) else 0)
