"""Output, common options and the client of the command line."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Annotated, Any

import httpx2
import typer

from trimtab._core import Call, RetryPolicy
from trimtab.client import Client
from trimtab.results import JobState, JobView, printable

CONTACT_S = 2.0  # until giving up on a server that has never answered
SLOW_S = 2.5  # an answer that takes longer is reported
ANSWER_S = 15.0  # limit of one try of one request

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
JobId = Annotated[str, typer.Argument(help="Id of a job.")]


def say(text: str) -> None:
    """Print a line for people, on stderr; control characters that it quotes are replaced."""
    print(printable(text), file=sys.stderr, flush=True)


def out(value: Any) -> None:
    """Print a value as one line of JSON on stdout."""
    print(json.dumps(value, allow_nan=False), flush=True)


def show(view: JobView, as_json: bool) -> None:
    """Print a job: as JSON, or its id, kind and state with the reason of a failure."""
    if as_json:
        out(view.model_dump(mode="json"))
        return
    print(f"{view.id}  {view.kind}  {view.state}")
    say_failure(view)
    if view.webhook is not None:
        detail = f": {view.webhook.detail}" if view.webhook.detail else ""
        say(f"webhook {view.webhook.state} ({view.webhook.tries} tries){detail}")


def labels_of(texts: list[str] | None) -> dict[str, str]:
    """Return the labels of texts KEY=VALUE. Raises typer.BadParameter."""
    for text in texts or ():
        if "=" not in text:
            raise typer.BadParameter(f"--label: expected KEY=VALUE, got {text!r}")
    return dict(text.split("=", 1) for text in texts or ())


def say_failure(view: JobView) -> None:
    """Print why a job failed, including a compiler's own message."""
    ended = view.termination
    if view.state is JobState.FAILED and ended is not None:
        say(f"{ended.reason.value}: {ended.detail or 'no detail was reported'}")


def client() -> Client:
    """Return a client that reports waits and soon gives up on a server that never answered."""
    shown = 0.0

    def on_pause(reason: str, left_s: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= 5.0:  # the first pause, then at most every 5 s
            shown = time.monotonic()
            say(
                f"trimtab: waiting for {reason}; giving up in {left_s:.0f} s "
                "(Ctrl-C ends it now)"
            )

    retry = RetryPolicy(contact_s=CONTACT_S, on_pause=on_pause)
    return _ReportingClient(retry=retry, timeout_s=ANSWER_S)


class _ReportingClient(Client):
    """A client that reports an answer that takes long; long polls and uploads may."""

    def _send(self, sent: Call, **more: Any) -> httpx2.Response:
        if sent.operation in ("wait", "upload"):
            return super()._send(sent, **more)
        text = f"trimtab: waiting for an answer of {self.endpoint.url}"
        slow = threading.Timer(SLOW_S, say, [text])
        slow.daemon = True
        slow.start()
        try:
            return super()._send(sent, **more)
        finally:
            slow.cancel()
