"""C library of a target without an operating system, as a job names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from search.archives import unpack
from search.types import InvalidInput
from solvers.llvm.boards import Board, boards_for
from solvers.llvm.c_library import CLibrary, Ready, folder_library, ready_library
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import LlvmMissing, Target
from trimtab.specs.compile import CompileSpec, Host


def library_of(
    spec: CompileSpec, inputs: Mapping[str, Path], machine: Target, workdir: Path
) -> CLibrary | None:
    """Return the C library of `sysroot`, or None without one. `machine` has everything decided.

    Raises InvalidInput, SourceError.
    """
    sysroot = spec.sysroot
    if sysroot is None:
        return None
    if is_hosted(machine.triple):
        raise InvalidInput(
            f"sysroot: expected a target without an operating system, got {spec.target.triple}, "
            "whose C library comes with the server; leave it out"
        )
    own_script = spec.image is not None and spec.image.script is not None
    start_files = sysroot.start_files
    if start_files is None:
        start_files = not own_script
    folder = workdir / "sysroot"
    folder.mkdir(exist_ok=True)
    if sysroot.library is None:
        assert sysroot.archive is not None
        name = f"sysroot.archive ({sysroot.archive.name or 'an archive'})"
        tree = unpack(inputs["sysroot"], folder / "files", name=name)
        # An archive of headers alone: its single top folder is `include` itself.
        root = tree.folder.parent if tree.top in ("include", "lib") else tree.folder
        return folder_library(root, start_files=bool(sysroot.start_files) and start_files)
    board = board_of(spec, machine.triple)
    try:
        library = ready_library(
            Ready(sysroot.library.value),
            machine,
            semihosting=sysroot.host is Host.SEMIHOSTING,
            defines=spec.build.defines,
            start_files=start_files,
            board=board,
            workdir=folder,
        )
    except LlvmMissing as error:
        raise InvalidInput(f"sysroot.library: {error}") from error
    if spec.image is not None and not own_script and library.script is None:
        raise InvalidInput(
            f"image.script: expected a linker script with sysroot.library {sysroot.library.value} "
            f"for {spec.target.triple}, got none; add one, or choose picolibc with its start files "
            "and a board"
        )
    return library


def board_of(spec: CompileSpec, triple: str) -> Board | None:
    """Return the board of a job, or None where none runs its code. Raises InvalidInput."""
    boards = boards_for(triple)
    chosen = spec.target.board
    if chosen is None:
        return boards[0] if boards else None
    found = next((board for board in boards if board.name == chosen.value), None)
    if found is None:
        names = ", ".join(board.name for board in boards) or "none"
        raise InvalidInput(
            f"target.board: expected a board that runs code for {spec.target.triple} ({names}), "
            f"got {chosen.value}"
        )
    return found
