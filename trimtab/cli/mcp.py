"""`trimtab mcp`: the server of an assistant's tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.terminal import say

_MISSING = (
    "trimtab mcp needs the official MCP SDK, which is not installed: "
    "expected `pip install 'trimtab[mcp]'`"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP instead of stdio.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on, with --http.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port to listen on, with --http.")
    ] = 8643,
    public_url: Annotated[
        str | None,
        typer.Option(help="URL by which callers reach it, behind a proxy; with --http."),
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder whose files the assistant may name; repeatable; not with --http.",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The trimtab server. Default: TRIMTAB_URL.")
    ] = None,
) -> None:
    """Serve trimtab's jobs as tools of an assistant (Model Context Protocol).

    Over stdio it acts with TRIMTAB_API_KEY; over HTTP with the bearer key of each caller.
    """
    try:
        from trimtab.mcp import server
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "mcp":
            raise
        say(_MISSING)
        raise typer.Exit(2) from None
    if not http:
        roots = [folder.resolve() for folder in root or ()]
        server.over_stdio(url=url, roots=roots).run("stdio")
        return
    if root:
        raise typer.BadParameter(
            "--root: expected none with --http, because callers are on other machines"
        )
    if host not in _LOOPBACK and public_url is None:
        raise typer.BadParameter(
            f"--public-url: expected the URL of callers with --host {host}, got none; put a proxy "
            "with TLS before it"
        )
    address = public_url or f"http://{host}:{port}/mcp"
    say(f"trimtab mcp: {address}")
    server.over_http(url=url, public_url=address).run(
        "streamable-http", host=host, port=port
    )
