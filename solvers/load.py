"""One model read twice: by HiGHS for the search, and exactly for the verifier."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from solvers.compare import refuse_differences
from solvers.exact import ExactLimits, ExactModel, read_exact
from solvers.read import Format, ReadLimits, read_model
from solvers.types import MilpModel


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Both readings of one file."""

    model: MilpModel
    exact: ExactModel


def load(
    path: str | os.PathLike[str],
    *,
    format: Format = "auto",
    name: str | None = None,
    limits: ReadLimits | None = None,
    exact_limits: ExactLimits | None = None,
    workdir: str | os.PathLike[str] | None = None,
) -> Loaded:
    """Read with both readers and compare, whatever the size. Raises ModelError; call it inside a killable child."""
    # The exact reader goes first: it is pure Python, cannot crash or hang, and names the line of a fault.
    exact = read_exact(path, format=format, name=name, limits=exact_limits)
    once = replace(limits or ReadLimits(), compared_bytes=0)
    model = read_model(path, format=format, name=name, limits=once, workdir=workdir)
    refuse_differences(exact, model)
    return Loaded(model=model, exact=exact)
