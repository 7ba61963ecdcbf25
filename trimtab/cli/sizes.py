"""`trimtab size`: what takes the flash of a linked program, and budgets for build servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.terminal import AsJson, say
from trimtab.flash import Budget, overruns
from trimtab.flash.report import markdown
from trimtab.flash.treemap import draw_treemap
from trimtab.flash.usage import changes, read_file

_OVER = 1


def cc(context: typer.Context) -> None:
    """Compile and link as clang does, with objects that carry IR, and make programs smaller.

    For Make, CMake and Meson: CC="trimtab cc" CXX="trimtab c++". See the guide on the wrapper.
    """
    from trimtab.wrapper.main import main

    raise typer.Exit(main(context.args, cxx=False))


def cxx(context: typer.Context) -> None:
    """Compile and link C++ as `trimtab cc` does C."""
    from trimtab.wrapper.main import main

    raise typer.Exit(main(context.args, cxx=True))


def size(
    program: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="A linked ELF program, or earlier --json."
        ),
    ],
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            exists=True,
            dir_okay=False,
            help="The linker's map (-Wl,-Map=FILE), for objects; lld's or GNU ld's.",
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The last build to compare with: a program, or its --json.",
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SIZE, e.g. flash=64K, ram=8K, .text=32K; repeatable."),
    ] = None,
    fail_over: Annotated[
        bool, typer.Option("--fail-over", help="Exit with 1 when a budget is exceeded.")
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option("--markdown", help="Append the summary to this file, as Markdown."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(help="Write a tree map to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what takes flash and RAM in a linked program, and check budgets."""
    budgets = [Budget.parse(text) for text in budget or ()]
    usage = read_file(program, map_file)
    before = read_file(since) if since else None
    over = overruns(usage, budgets)
    text = markdown(usage, before=before, budgets=budgets)
    if summary is not None:
        with summary.open("a", encoding="utf-8") as out:
            out.write(f"### {program.name}\n\n{text}\n")
    if svg is not None:
        title = f"{program.name}: {usage.flash:,} bytes of flash, {usage.ram:,} of RAM"
        svg.write_text(draw_treemap(usage, title=title), encoding="utf-8")
    if as_json:
        document = usage.as_json() | {
            "over_budget": [
                {"name": row.budget.name, "most": row.budget.most, "used": row.used}
                for row in over
            ]
        }
        if before is not None:
            document["changes"] = [vars(row) for row in changes(before, usage)]
        print(json.dumps(document, indent=1))
    else:
        print(text, end="")
    for row in over:
        say(row.sentence)
    if over and fail_over:
        raise typer.Exit(_OVER)
