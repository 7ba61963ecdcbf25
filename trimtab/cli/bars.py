"""Progress bar of a transfer: on a terminal's standard error; silent in pipes and with `--json`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trimtab.files import Progress


@contextmanager
def transfer(name: str, *, quiet: bool = False) -> Iterator[Progress | None]:
    """Yield a callback for `progress=` that draws a bar; None when stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False
    ) as bars:
        task = bars.add_task(name, total=None)

        def advance(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        yield advance
