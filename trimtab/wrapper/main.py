"""`trimtab cc` and `trimtab c++`: compile and link as clang does, and make the program smaller."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from trimtab.wrapper.clang import NoClang, find_clang
from trimtab.wrapper.command import COMPILE, LINK, Command, read_command

_EMBED = ("-Xclang", "-fembed-bitcode=all")
_SECONDS = 60.0


def main(arguments: Sequence[str], *, cxx: bool) -> int:
    """Run the compiler's command line; return clang's exit code."""
    try:
        clang = find_clang(cxx=cxx)
    except NoClang as error:
        print(f"trimtab cc: {error}", file=sys.stderr)
        return 127
    command = read_command(arguments, os.getcwd())
    embed = _EMBED if command.action == COMPILE else ()
    seconds = _seconds()
    if command.action != LINK or seconds <= 0:
        words = [*clang, *arguments, *embed]
        sys.stdout.flush()
        os.execvp(words[0], words)  # noqa: S606 - no shell
    import subprocess

    code = subprocess.run([*clang, *arguments], check=False).returncode
    if code == 0:
        _improve(command, clang, seconds)
    return code


def _improve(command: Command, clang: Sequence[str], seconds: float) -> None:
    """Make the linked program smaller; the user's own stays on any trouble."""
    from trimtab.wrapper.link import Leave, improve

    try:
        print(f"trimtab cc: {improve(command, clang, seconds=seconds)}", file=sys.stderr)
    except Leave as why:
        print(
            f"trimtab cc: {command.out} stays as clang links it: {why}", file=sys.stderr
        )
    except Exception as error:  # a build must not fail because of the wrapper
        kind = type(error).__name__
        print(
            f"trimtab cc: {command.out} stays as clang links it: {kind}: {error}",
            file=sys.stderr,
        )


def _seconds() -> float:
    """Return the seconds of a job: TRIMTAB_CC_SECONDS; 0 for none."""
    try:
        return float(os.environ.get("TRIMTAB_CC_SECONDS", _SECONDS))
    except ValueError:
        return _SECONDS
