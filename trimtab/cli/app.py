"""Submit optimization jobs, watch them, and fetch their results from a trimtab server.

Results go to stdout, messages for people to stderr.

Exit codes: 0 ok, 1 job failed or budget exceeded, 2 usage, 3 server unreachable, 4 not allowed,
5 not found, 6 conflict, 7 job cancelled, dead or skipped, 8 timed out, 9 any other error of the
server, 10 the plan waits for its owner's answer or approval, 130 interrupted.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from trimtab import __version__
from trimtab.cli import (
    admin,
    chat,
    following,
    jobs,
    listing,
    live,
    mcp,
    models,
    plans,
    reports,
    server,
    sizes,
    solve,
    submitting,
)
from trimtab.errors import (
    AuthError,
    BadRequest,
    ConfigError,
    Conflict,
    ConnectionFailed,
    JobAtRest,
    NotFound,
    SpecError,
    TrimtabError,
    Unavailable,
    WaitTimeout,
)
from trimtab.faults import faults_of

# The first class that matches decides.
_CODES: tuple[tuple[type[TrimtabError], int], ...] = (
    (SpecError, 2),
    (ConnectionFailed, 3),
    (ConfigError, 3),
    (Unavailable, 3),
    (AuthError, 4),
    (NotFound, 5),
    (Conflict, 6),
    (WaitTimeout, 8),
    (JobAtRest, live.AT_REST),
    (BadRequest, 2),
    (TrimtabError, 9),
)
# Arguments that are not ours go to another program.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    name="trimtab", no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False
)
app.command(context_settings=_PASS_ON)(server.serve)
app.command()(solve.solve)
app.command()(submitting.submit)
app.command()(following.watch)
app.command("list")(listing.list_jobs)
app.command()(jobs.get)
app.command()(jobs.logs)
app.command()(jobs.rename)
app.command()(listing.views)
app.command()(reports.compare)
for _name, _help in jobs.VERBS.items():
    app.command(_name, help=_help)(jobs.verb(_name))
app.command()(jobs.delete)
app.command()(reports.result)
app.command()(reports.report)
app.command()(jobs.download)
app.command()(jobs.incumbent)
app.command(context_settings=_PASS_ON)(submitting.batch)
app.command()(plans.plan)
app.command()(plans.outline)
app.command()(plans.answer)
app.command()(plans.approve)
app.add_typer(models.app, name="models")
app.command()(chat.chat)
app.command(context_settings=_PASS_ON)(server.backup)
app.command(context_settings=_PASS_ON)(server.restore)
app.add_typer(admin.app, name="admin")
app.command()(server.kinds)
app.command()(server.keys)
app.command("open")(server.open_page)
app.command()(mcp.mcp)
app.command()(server.doctor)
app.command()(sizes.size)
app.command("cc", context_settings=_PASS_ON)(sizes.cc)
app.command("c++", context_settings=_PASS_ON)(sizes.cxx)


def _version(show: bool) -> None:
    if show:
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
    """Run the command line and exit with one of the codes above."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name of a job may have letters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except TrimtabError as error:
        print(f"trimtab: {error}", file=sys.stderr)
        sys.exit(next(code for kind, code in _CODES if isinstance(error, kind)))
    except ValidationError as error:
        print(
            *(f"trimtab: {fault}" for fault in faults_of(error)),
            sep="\n",
            file=sys.stderr,
        )
        sys.exit(2)
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"trimtab: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)
