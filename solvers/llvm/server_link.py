"""Link a candidate's object inside the engine's server, confined, and measure the program.

The linker reads the caller's linker script, which may name any file. So it runs in a process that
has dropped its privileges (`solvers.privileges`), as programs under `confine.py` do, but without
their start-up time: a search links once for each candidate.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from solvers import privileges
from solvers.llvm.elf_image import ImageSizes, image_sizes
from solvers.llvm.link_order import INPUTS, OUT, overflow
from solvers.parent import die_with_parent

_MESSAGE_BYTES = 1 << 16


class LinkFailed(Exception):
    """The linker refused. The message is its own."""


def link_and_measure(
    order: Mapping[str, Any], code: bytes, folder: str
) -> tuple[ImageSizes, int]:
    """Return the sizes of the linked program, and its bytes beyond the linker script's regions.

    order: `words` with INPUTS and OUT, folders `readable`, and `relaxed`, the words again with a
        script whose regions are large, or none. Raises LinkFailed, BadObject.
    """
    own = os.path.join(folder, f"link-{os.getpid()}")
    os.mkdir(own)
    try:
        made = os.path.join(own, "input.o")
        with open(made, "wb") as file:
            file.write(code)
        message = _link(order["words"], order["readable"], own)
        beyond = overflow(message) if message else 0
        if message and beyond and order.get("relaxed"):
            message = _link(order["relaxed"], order["readable"], own)
        if message:
            raise LinkFailed(message)
        with open(os.path.join(own, "image"), "rb") as file:
            return image_sizes(file.read()), beyond
    finally:
        shutil.rmtree(own, ignore_errors=True)


def join(order: Mapping[str, Any], codes: Sequence[bytes], folder: str) -> bytes:
    """Return objects as one, their sections apart.

    order: `words` of the linker itself, and the folders `readable`. Raises LinkFailed.
    """
    own = os.path.join(folder, f"join-{os.getpid()}")
    os.mkdir(own)
    try:
        names = [os.path.join(own, f"{i}.o") for i in range(len(codes))]
        for name, code in zip(names, codes, strict=True):
            with open(name, "wb") as file:
                file.write(code)
        message = _link(
            [*order["words"], "-r", *names, "-o", OUT], order["readable"], own
        )
        if message:
            raise LinkFailed(message)
        with open(os.path.join(own, "image"), "rb") as file:
            return file.read()
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _link(words: Sequence[str], readable: Sequence[str], folder: str) -> str:
    """Run the linker; return its message when it refuses, else ""."""
    paths = {INPUTS: f"{folder}/input.o", OUT: f"{folder}/image"}
    command = [paths.get(word, word) for word in words]
    log = os.path.join(folder, "messages")
    here = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            die_with_parent(here, 9)
            messages = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(messages, 1)
            os.dup2(messages, 2)
            os.chdir(folder)
            privileges.drop_capabilities()
            privileges.restrict_files(
                readable=[*privileges.SYSTEM_FOLDERS, *readable], writable=[folder]
            )
            privileges.refuse_sockets()
            environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TMPDIR": folder}
            os.execve(command[0], command, environment)  # noqa: S606 - no shell
        finally:
            os._exit(127)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        return ""
    with contextlib.suppress(OSError), open(log, "rb") as file:
        text = file.read(_MESSAGE_BYTES).decode("utf-8", "replace").strip()
        if text:
            return text.replace(f"{folder}/", "")
    return f"the linker ended with {os.waitstatus_to_exitcode(status)}"
