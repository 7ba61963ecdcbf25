"""Two readings of one file: by HiGHS for the search, and exactly for the verifier."""

from __future__ import annotations

import os
from dataclasses import dataclass

from solvers.exact import ExactLimits, ExactModel, read_exact
from solvers.read import Format, ReadLimits, read_with_notes
from solvers.types import MilpModel


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Both readings of a file."""

    model: MilpModel
    exact: ExactModel
    notes: tuple[str, ...] = ()  # for the file's author, about how it was read


def load(
    path: str | os.PathLike[str],
    *,
    format: Format = "auto",
    name: str | None = None,
    limits: ReadLimits | None = None,
    exact_limits: ExactLimits | None = None,
    workdir: str | os.PathLike[str] | None = None,
) -> Loaded:
    """Read a file of any size with both readers and compare. Raises ModelError.

    Call this in a child that can be killed.
    """
    # The exact reader goes first: it is pure Python, cannot crash or hang, and names the line of an
    # error.
    exact = read_exact(path, format=format, name=name, limits=exact_limits)
    reading = read_with_notes(
        path, format=format, name=name, limits=limits, workdir=workdir, exact=exact
    )
    return Loaded(model=reading.model, exact=exact, notes=reading.notes)
