"""`trimtab cc` and `trimtab c++`: compile and link as clang does, and make the program smaller."""

from __future__ import annotations

import os
import sys

from trimtab.wrapper.clang import EMBED, NoClang, find_clang, with_linker
from trimtab.wrapper.command import BUILD, COMPILE, LINK, OTHER, Command, read_command

TYPE_CHECKING = False  # as the name of `typing`, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 60.0
_SHIMS = "--trimtab-shims="


def main(arguments: Sequence[str], *, cxx: bool) -> int:
    """Run the compiler's command line; return clang's exit code."""
    if len(arguments) == 1 and arguments[0].startswith(_SHIMS):
        from trimtab.wrapper.shims import write_shims

        return write_shims(arguments[0][len(_SHIMS) :])
    try:
        clang = find_clang(cxx=cxx)
    except NoClang as error:
        say(str(error))
        return 127
    command = _read(arguments)
    if command.action == COMPILE:
        return _compile(clang, arguments, command)
    clang = with_linker(clang, command.words)
    seconds = _seconds()
    if command.action == OTHER or seconds <= 0:
        sys.stdout.flush()
        words = [*clang, *arguments]
        os.execvp(words[0], words)  # noqa: S606 - no shell
    code = _run([*clang, *arguments])
    if code == 0 and command.action in (LINK, BUILD):
        _improve(command, clang, seconds)
    return code


def say(line: str) -> None:
    """Print one line for people."""
    print(f"trimtab cc: {line}", file=sys.stderr, flush=True)


def _read(arguments: Sequence[str]) -> Command:
    """Read a command line; what cannot be read is clang's."""
    try:
        return read_command(arguments, os.getcwd())
    except (OSError, ValueError) as error:
        say(f"passed on to clang as it is: {error}")
        return Command(OTHER, arguments)


def _compile(clang: Sequence[str], arguments: Sequence[str], command: Command) -> int:
    """Compile with IR in the object, and without where clang refuses that."""
    code = _run([*clang, *EMBED, *arguments])
    if code == 0:
        from trimtab.wrapper.sections import mark

        for name in command.objects:
            try:
                mark(name)
            except OSError as error:
                say(f"{name} carries no IR: {error}")
        return 0
    # Standard input can be read once; a signal is not the compiler's answer.
    if code < 0 or code > 128 or any(file.name == "-" for file in command.files):
        return code
    plain = _run([*clang, *arguments], quiet=True)
    if plain == 0:
        say(
            f"{' '.join(command.objects)} carries no IR: clang refuses {EMBED[1]} with these flags"
        )
    return plain


def _run(words: Sequence[str], *, quiet: bool = False) -> int:
    """Run a program to its end, and pass signals on to it; return its exit code."""
    # What `signal` is made of, without its enumerations, which are slow to import.
    import _signal as signal  # type: ignore[import-not-found]

    sys.stdout.flush()
    actions = [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)] if quiet else []
    child = os.posix_spawnp(words[0], list(words), os.environ, file_actions=actions)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return code if code >= 0 else 128 - code


def _improve(command: Command, clang: Sequence[str], seconds: float) -> None:
    """Make the linked program smaller; the user's own stays on any trouble."""
    if sys.flags.no_site:  # started by a shim: the job needs the environment's packages
        import site

        site.main()
    from trimtab.wrapper.link import Leave, improve

    try:
        say(improve(command, clang, seconds=seconds))
    except Leave as why:
        if not why.quiet:
            say(f"{command.out} stays as clang links it: {_one_line(str(why))}")
    except KeyboardInterrupt:
        say(f"{command.out} stays as clang links it: interrupted")
    except Exception as error:  # a build must not fail because of the wrapper
        kind = type(error).__name__
        say(f"{command.out} stays as clang links it: {kind}: {_one_line(str(error))}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]


def _seconds() -> float:
    """Return the seconds of a job: TRIMTAB_CC_SECONDS; 0 for none."""
    try:
        return float(os.environ.get("TRIMTAB_CC_SECONDS", _SECONDS))
    except ValueError:
        return _SECONDS
