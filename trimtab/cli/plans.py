"""Commands on plans: a goal in words, its outline, answers, approval, report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from trimtab._plan import Plan
from trimtab.cli import bars, live, live_plan
from trimtab.cli.terminal import AsJson, JobId, out, say, say_failure
from trimtab.cli.terminal import client as connect
from trimtab.client import Client
from trimtab.errors import ConfigError, InvalidBody, JobFailed
from trimtab.outlines import open_questions, outline_text
from trimtab.plans import OutlineView
from trimtab.results import JobState

_CHOICES = (
    "y approves, n leaves the plan as it is; `drop l2`, `keep l2` and "
    "`set l1.budget.seconds 30` change it"
)


def plan(
    goal: Annotated[str, typer.Argument(help="What is wanted, in English.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, dir_okay=False, help="Files that it is about."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Approve the outline without asking.")
    ] = False,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", help="ID=TEXT, the answer to a question; repeatable."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.001, help="Limit of making outline and report, each."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the plan.")] = None,
    text_model: Annotated[
        bool,
        typer.Option(
            "--text-model/--no-text-model", help="Let the server's language model help."
        ),
    ] = True,
    to: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to write the report's files to."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a goal in words into jobs, run them, and say where their report is.

    Prints the outline. On a terminal it asks the outline's questions, and for approval; elsewhere
    it exits with code 10 unless --yes and --answer leave nothing open.
    """
    options: dict[str, Any] = {"seconds": seconds, "seed": seed or 0}
    with connect() as client:
        with bars.transfer("upload", quiet=as_json or not files) as progress:
            made = client.plan(
                goal,
                files or [],
                text_model="auto" if text_model else "none",
                progress=progress,
                **options,
            )
        say(f"submitted {made.id}")
        answers = _pairs(answer)
        _settle(made, answers, yes=yes, as_json=as_json)
        _follow(client, made, to=to, as_json=as_json)


def outline(
    job_id: JobId,
    edit: Annotated[
        Path | None,
        typer.Option(help="A JSON patch (RFC 6902) to apply; - reads standard input."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the outline of a plan, or change it.

    With --json: revision, digest, outline and the jobs of its leaves.
    """
    with connect() as client:
        made = _plan(client, job_id)
        seen = made.read()
        if edit is not None:
            text = sys.stdin.read() if str(edit) == "-" else edit.read_text()
            patch = json.loads(text)
            if not isinstance(patch, list):
                raise typer.BadParameter(
                    f"--edit: expected a list of operations, got {type(patch).__name__}"
                )
            seen = made.edit(patch)
        _show(made, seen, as_json)


def answer(
    job_id: JobId,
    answers: Annotated[list[str], typer.Argument(help="ID=TEXT, e.g. q1=8; repeatable.")],
    as_json: AsJson = False,
) -> None:
    """Answer the questions of a plan, and show the outline that follows."""
    with connect() as client:
        made = _plan(client, job_id)
        made.read()
        made.answer(_pairs(answers))
        _show(made, made.read(), as_json)


def approve(
    job_id: JobId,
    digest: Annotated[
        str | None,
        typer.Option(
            help="Approve only this version, as `trimtab outline --json` has it."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the plan.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for the report; with --watch."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Approve the outline of a plan: its jobs start."""
    with connect() as client:
        made = _plan(client, job_id)
        seen = made.read()
        if digest is not None and digest != seen.digest:
            raise typer.BadParameter(
                f"--digest: expected that of the newest version, {seen.digest}, got {digest}; "
                f"read it again: trimtab outline {job_id}"
            )
        if open_ := open_questions(seen.outline):
            raise typer.BadParameter(
                f"expected no open question, got {', '.join(open_)}; answer first: "
                f"trimtab answer {job_id} {open_[0]}=..."
            )
        made.approve()
        if watch:
            _follow(client, made, to=to, as_json=as_json)
        else:
            out(made.view.model_dump(mode="json")) if as_json else say(
                f"approved; `trimtab watch {made.id}` follows it"
            )


def _plan(client: Client, job_id: str) -> Plan:
    job = client.job(job_id)
    if not isinstance(job, Plan):
        raise typer.BadParameter(
            f"JOB_ID: expected a plan, got {job_id} of kind {job.view.kind}"
        )
    return job


def _pairs(texts: list[str] | None) -> dict[str, str]:
    for text in texts or ():
        if "=" not in text:
            raise typer.BadParameter(f"answer: expected ID=TEXT, got {text!r}")
    return dict(text.split("=", 1) for text in texts or ())


def _show(made: Plan, seen: OutlineView, as_json: bool) -> None:
    if as_json:
        out(seen.model_dump(mode="json"))
        return
    print(outline_text(seen.outline, live_plan.states(made, seen)))
    say(f"\n{_status(made, seen)}")


def _status(made: Plan, seen: OutlineView) -> str:
    """Return the state of a plan, and what it waits for."""
    match made.view.state:
        case JobState.NEEDS_INPUT:
            first = (open_questions(seen.outline) or ["q1"])[0]
            todo = f"answer: trimtab answer {made.id} {first}=..."
        case JobState.AWAITING_APPROVAL:
            todo = f"approve: trimtab approve {made.id}"
        case _:
            todo = ""
    at = f"{made.id}, revision {seen.revision}: {made.view.state}"
    return f"{at}; {todo}" if todo else at


def _settle(made: Plan, given: dict[str, str], *, yes: bool, as_json: bool) -> None:
    """Bring a plan from its first outline to its approval; exits where only a person can."""
    asks = on_terminal() and not as_json
    while True:
        seen = _read(made)
        if not made.view.state.is_resting:
            return
        if not as_json:
            print(outline_text(seen.outline), flush=True)
        if made.view.state is JobState.NEEDS_INPUT:
            replies = {
                name: given.pop(name)
                for name in open_questions(seen.outline)
                if name in given
            }
            missing = [
                name for name in open_questions(seen.outline) if name not in replies
            ]
            if missing and not asks:
                _leave(made, seen, as_json)
            replies |= {name: _ask(seen, name) for name in missing}
            made.answer(replies)
            continue
        if not yes:
            if not asks:
                _leave(made, seen, as_json)
            if not _agree(made):
                _leave(made, made.read(), as_json)
        made.approve()
        return


def on_terminal() -> bool:
    """Return True if a person can be asked."""
    return sys.stdin.isatty()


def _read(made: Plan) -> OutlineView:
    try:
        return made.read()
    except JobFailed:
        say_failure(made.view)
        raise typer.Exit(live.exit_code(made.view)) from None


def _leave(made: Plan, seen: OutlineView, as_json: bool) -> NoReturn:
    """Exit and say what the plan waits for."""
    if as_json:
        out(seen.model_dump(mode="json"))
    say(_status(made, seen))
    raise typer.Exit(live.AT_REST)


def _ask(seen: OutlineView, name: str) -> str:
    """Ask a question on the terminal: a number chooses an option, other text is the answer."""
    question = seen.outline.questions[name]
    say(f"\n{question.text}")
    for number, option in enumerate(question.options, 1):
        say(f"  {number}  {option}")
    default = question.options[0] if question.options else ""
    while True:
        prompt = f"number or text [{default}]: " if default else "text: "
        text = _input(prompt) or default
        if text.isdecimal() and 1 <= int(text) <= len(question.options):
            # An option that is that very number is meant rather than its place.
            return text if text in question.options else question.options[int(text) - 1]
        if text:
            return text


def _agree(made: Plan) -> bool:
    """Ask for approval on the terminal; edits until then change the plan."""
    say(f"\n{_CHOICES}")
    while True:
        words = _input("approve? [y/N] ").split(None, 2)
        match words:
            case [] | ["n" | "no"]:
                return False
            case ["y" | "yes"]:
                return True
            case ["drop" | "keep" as verb, leaf]:
                _change(made, leaf, "enabled", verb == "keep")
            case ["set", target, value] if "." in target:
                leaf, path = target.split(".", 1)
                _change(made, leaf, path, _value(value))
            case _:
                say(_CHOICES)


def _change(made: Plan, name: str, path: str, value: Any) -> None:
    """Change a leaf and print the outline; a refused change is reported."""
    leaves = made.leaves
    if name not in leaves:
        say(f"leaf: expected one of {', '.join(leaves)}, got {name!r}")
        return
    try:
        seen = leaves[name].set(path, value)
    except (InvalidBody, KeyError) as error:
        say(str(error.args[0] if isinstance(error, KeyError) else error))
    else:
        print(outline_text(seen.outline), flush=True)


def _value(text: str) -> Any:
    """Return a value as JSON has it; text that is not JSON stands for itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _input(prompt: str) -> str:
    # On stderr: stdout holds the results.
    print(prompt, end="", file=sys.stderr, flush=True)
    try:
        return input().strip()
    except EOFError:
        say("")
        raise typer.Exit(live.AT_REST) from None


def _follow(client: Client, made: Plan, *, to: Path | None, as_json: bool) -> None:
    """Follow the jobs, then say where the report is. Exits with the plan's code."""
    try:
        view = live_plan.follow(made, quiet=as_json)
    except KeyboardInterrupt:
        say(f"\ndetached; the plan continues. `trimtab watch {made.id}` follows it again")
        raise typer.Exit(130) from None
    say_failure(view)
    saved = made.save(to) if to is not None and view.state is JobState.SUCCEEDED else []
    if as_json:
        out(
            {
                "job": view.model_dump(mode="json"),
                "outline": made.read().model_dump(mode="json"),
                "report": made.report if view.state is JobState.SUCCEEDED else None,
                "files": [str(path) for path in saved],
            }
        )
    elif view.state is JobState.SUCCEEDED:
        _say_where(client, made, saved)
    raise typer.Exit(live.exit_code(view))


def _say_where(client: Client, made: Plan, saved: list[Path]) -> None:
    for path in saved:
        print(path)
    if not saved:
        print(made.report)
        say(f"files: trimtab download {made.id} report.html (or report.md, report.pdf)")
    try:
        say(f"page: {client.endpoint.url}/jobs/{made.id}")
    except ConfigError:
        return
