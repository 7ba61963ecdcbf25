"""Building blocks of the kinds' command lines: a parser of steps and their functions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

Steps: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run = Callable[[argparse.Namespace], None]
Say = Callable[[str], None]


class StepError(Exception):
    """A step cannot run; the message names the cause and the remedy."""


def step_parser(
    kind: str, description: str | None
) -> tuple[argparse.ArgumentParser, Steps]:
    """Return the parser of a kind and the collection to which its steps are added."""
    parser = argparse.ArgumentParser(
        prog=f"python -m workers.train {kind}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser, parser.add_subparsers(dest="step", required=True, metavar="STEP")


def add_step(steps: Steps, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a step that `run` carries out; return its parser, for the step's options."""
    step = steps.add_parser(name, help=text, description=text)
    step.set_defaults(run=run)
    return step


def run_step(parser: argparse.ArgumentParser, argv: list[str]) -> int:
    """Parse `argv` and run its step; returns the exit code."""
    options = parser.parse_args(argv)
    try:
        options.run(options)
    except StepError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return 0


def progress(options: argparse.Namespace) -> Say:
    """Return a function that writes a line of progress to standard error, headed by the step."""

    def say(text: str) -> None:
        print(f"{options.step}: {text}", file=sys.stderr, flush=True)

    return say
