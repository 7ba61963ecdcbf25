"""Executor factory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workers.types import Executor, TextBackend

if TYPE_CHECKING:
    from workers.process.text_host import TextOptions

NAMES = ("process", "ray", "inline")


def open_executor(
    name: str,
    *,
    workers: int,
    scratch_dir: Path,
    sandbox: str = "auto",
    preload: Sequence[str] = (),
    ray_address: str | None = None,
    text: TextBackend | None = None,
    text_options: TextOptions | None = None,
) -> Executor:
    """Return an executor by name; call its `open()` before use. Raises ValueError.

    Each module is imported only when chosen: `process` must not cost the memory of Ray, nor `ray`
    that of a solver.

    Args:
        name: One of `NAMES`.
        workers: Attempts at once.
        scratch_dir: Folder of the run folders.
        sandbox: `auto`, `rlimit` or `bwrap`.
        preload: Modules that the first warm children import; later ones import those of the last
            runs.
        ray_address: Address of a Ray cluster. None: start one on this machine.
        text: Language model of runs that need one, of executor `process`.
        text_options: How executor `ray` hosts its own; `RayExecutor.text` is its backend.
    """
    match name:
        case "process":
            from workers.process.pool import ProcessExecutor

            return ProcessExecutor(
                workers=workers,
                scratch_dir=scratch_dir,
                sandbox=sandbox,
                preload=preload,
                text=text,
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
                text=text_options,
            )
    raise ValueError(f"executor: expected one of {', '.join(NAMES)}, got {name!r}")


def open_text(options: TextOptions, *, scratch_dir: Path) -> TextBackend:
    """Return the host of a language model on this machine; call its `open()` before use."""
    from workers.process.text_host import TextHost

    return TextHost(options, scratch_dir=scratch_dir)
