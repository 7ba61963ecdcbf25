"""The door: an executor by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workers.types import Executor

NAMES = ("process", "ray", "inline")


def open_executor(
    name: str,
    *,
    workers: int,
    scratch_dir: Path,
    sandbox: str = "auto",
    preload: Sequence[str] = (),
    ray_address: str | None = None,
) -> Executor:
    """Make an executor; call its `open()` before use. Raises ValueError for an unknown name.

    Each is imported only when chosen: `process` must not cost the memory of Ray, nor `ray` that of a solver.
    """
    match name:
        case "process":
            from workers.process.pool import ProcessExecutor

            return ProcessExecutor(
                workers=workers, scratch_dir=scratch_dir, sandbox=sandbox, preload=preload
            )
        case "inline":
            from workers.inline import InlineExecutor

            return InlineExecutor(scratch_dir=scratch_dir)
        case "ray":
            from workers.cluster.pool import RayExecutor

            return RayExecutor(
                address=ray_address,
                workers=workers,
                scratch_dir=scratch_dir,
                sandbox=sandbox,
                preload=preload,
            )
    raise ValueError(f"executor {name!r} came; wanted one of {', '.join(NAMES)}")
