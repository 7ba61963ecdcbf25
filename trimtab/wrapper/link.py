"""Link with one optimised object in the place of the objects that carry IR."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.wrapper import store
from trimtab.wrapper.archives import archive_of_members
from trimtab.wrapper.clang import EMBED
from trimtab.wrapper.command import (
    ASSEMBLY,
    BUILD,
    LINK,
    SOURCE,
    Command,
    Input,
    values,
    with_words,
    without_outputs,
)
from trimtab.wrapper.program import Program, exported, read_program, unfit
from trimtab.wrapper.request import job_of, machine_flags, target_of
from trimtab.wrapper.scripts import NoScript, files_named, read_script
from trimtab.wrapper.sections import Elf, mark
from trimtab.wrapper.trace import NoTrace, trace

if TYPE_CHECKING:
    from trimtab.flash import Usage

_FORMAT = "5"  # of the cache
_LEAST_BYTES = (
    96  # of code and data with IR; smaller programs are probes of configure scripts
)
_LINK_S = 600.0


class Leave(Exception):
    """The user's own program stays. The message has the reason."""

    def __init__(self, why: str, *, quiet: bool = False) -> None:
        super().__init__(why)
        self.quiet = quiet  # not worth a line


def improve(command: Command, clang: Sequence[str], *, seconds: float) -> str:
    """Replace the linked program by a smaller one; return one line for people.

    Raises Leave when the user's own program stays.
    """
    out = Path(command.out)
    if not out.is_file():
        raise Leave("the link wrote no such file", quiet=True)
    with _scratch(out) as scratch:
        if command.action == BUILD:
            command = compiled(command, clang, scratch)
        program, spec, files = _understood(command, clang, scratch)
        smaller = _cached(files, spec, seconds)
        made = scratch / "optimised.o"
        made.write_bytes(smaller)
        return _exchanged(command, clang, program, made, scratch)


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    # Beside the program, so that a rename puts the smaller one in its place.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".trimtab-") as name:
        yield Path(name)


def compiled(command: Command, clang: Sequence[str], scratch: Path) -> Command:
    """Compile the sources of a command that compiles and links; return the link of the objects."""
    inputs = {file.at: file for file in command.files}
    flags = [word for i, word in enumerate(command.words) if i not in inputs]
    flags = _without_language(without_outputs(flags))
    words: list[str] = []
    files: list[Input] = []
    own = {
        at: scratch / f"source-{at}.o"
        for at, f in inputs.items()
        if f.kind in (SOURCE, ASSEMBLY)
    }
    for at, target in own.items():
        file = inputs[at]
        embed = EMBED if file.kind == SOURCE else ()
        language = ["-x", file.language] if file.language else []
        line = [
            *clang,
            *embed,
            "-w",
            *flags,
            "-c",
            "-o",
            str(target),
            *language,
            "--",
            file.name,
        ]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Leave(
                f"{file.name} does not compile by itself: {done.stderr.strip()[:500]}"
            )
        if file.kind == SOURCE:
            mark(str(target))
    skip = False
    for i, word in enumerate(command.words):
        if skip:
            skip = False
        elif word in ("-x", "--language"):
            skip = True
        elif word.startswith("-x") and i not in inputs:
            pass
        else:
            name = str(own[i]) if i in own else word
            if i in inputs:
                files.append(Input(len(words), name, "file", ""))
            words.append(name)
    return Command(LINK, words, files, command.out)


def _without_language(words: Sequence[str]) -> list[str]:
    left: list[str] = []
    following = iter(words)
    for word in following:
        if word in ("-x", "--language"):
            next(following, None)
        elif not word.startswith(("-x", "-l", "-L", "-Wl,")) and word != "--":
            left.append(word)
    return left


def _understood(
    command: Command, clang: Sequence[str], scratch: Path
) -> tuple[Program, dict[str, Any], dict[str, bytes]]:
    """Return the parts of a link, and the job's spec and files. Raises Leave."""
    target, hosted = target_of(command.words, clang)
    if target is None:
        raise Leave("clang names no target")
    scripts = [f.name for f in command.files if f.name.endswith((".ld", ".lds", ".x"))]
    try:
        script = read_script(command.words, scripts)
        if option := unfit(command.words, scripted=bool(script)):
            raise Leave(f"the link has {option}, which cannot be kept in one object")
        loaded = trace(clang, command.words, scratch)
    except (NoTrace, NoScript) as error:
        raise Leave(str(error)) from None
    program = read_program(command, loaded, apart=files_named(script), hosted=hosted)
    if not program.units:
        raise Leave("no object carries IR", quiet=True)
    if program.loaded_bytes < _LEAST_BYTES:
        raise Leave("it is too small", quiet=True)
    flags = machine_flags(command.words, clang)
    exports = exported(Path(command.out).read_bytes())
    try:
        files, spec = job_of(command, program, target, flags, script, exports)
    except ValueError as error:
        raise Leave(str(error)) from None
    return program, spec, files


def _exchanged(
    command: Command, clang: Sequence[str], program: Program, made: Path, scratch: Path
) -> str:
    """Link with the optimised object, and keep the smaller program. Raises Leave."""
    out, smaller = Path(command.out), scratch / "linked" / Path(command.out).name
    smaller.parent.mkdir()
    words = relinked(command, program, made, scratch)
    maps = values(command.words, "-Map", "--Map")
    map_words = [f"-Wl,-Map={scratch / 'map'}"] if maps else []
    done = subprocess.run(
        [*clang, *with_words(words, *map_words, "-o", str(smaller))],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_LINK_S,
    )
    if done.returncode or not smaller.exists():
        raise Leave(f"the optimised object does not link: {done.stderr.strip()[:800]}")
    _check_alike(out, smaller)
    before, after = (_usage(path) for path in (out, smaller))
    if after.flash >= before.flash:
        raise Leave(f"{before.flash:,} bytes of flash, and no smaller program was found")
    if report := os.environ.get("TRIMTAB_CC_REPORT"):
        from trimtab.wrapper.report import write_report

        write_report(Path(report), out, before, after)
    shutil.copymode(out, smaller)
    os.replace(smaller, out)
    if maps and (scratch / "map").is_file():
        shutil.copyfile(scratch / "map", maps[-1])
    return (
        f"{out.name}: {after.flash:,} bytes of flash instead of {before.flash:,} "
        f"({100 * (after.flash - before.flash) / before.flash:+.1f} %)"
    )


def relinked(command: Command, program: Program, made: Path, scratch: Path) -> list[str]:
    """Return the link's words with the optimised object in the place of the units."""
    rests: dict[str, str] = {}
    for i, archive in enumerate(program.archives.values()):
        target = scratch / f"rest-{i}" / archive.path.name
        target.parent.mkdir()
        target.write_bytes(archive_of_members(archive.rest))
        rests[str(archive.path)] = str(target)
    libraries = {Path(path).name: target for path, target in rests.items()}
    at_files = {file.at for file in command.files}
    words: list[str] = []
    placed = False

    def place() -> None:
        nonlocal placed
        words.extend([] if placed else [str(made)])
        placed = True

    following = iter(enumerate(command.words))
    for i, word in following:
        name = word
        if word == "-l":
            _, value = next(following, (0, ""))
            name = word = f"-l{value}"
        if i in at_files and word in program.objects:
            place()
        elif i in at_files and word in rests:
            place()
            words.append(rests[word])
        elif word.startswith("-l") and (rest := libraries.get(_library(name))):
            place()
            words.append(rest)
        else:
            words.append(word)
    if not placed:
        raise Leave("the words of the link that name the units were not found")
    return with_words(without_outputs(words), *_removal(command.words), "-Wl,-O2")


def _library(word: str) -> str:
    name = word[2:]
    return name[1:] if name.startswith(":") else f"lib{name}.a"


def _removal(words: Sequence[str]) -> list[str]:
    """Return the option by which unused sections go.

    A script that was written without it may lack KEEP for vectors and tables.
    """
    return [] if values(words, "-T", "--script") else ["-Wl,--gc-sections"]


def _check_alike(old: Path, new: Path) -> None:
    """Check that the new program is of the old one's kind and exports as much. Raises Leave."""
    before, after = (Elf(path.read_bytes()) for path in (old, new))
    if (before.kind, before.machine, before.wide) != (
        after.kind,
        after.machine,
        after.wide,
    ):
        raise Leave("the smaller program is of another kind")
    old_sizes, new_sizes = before.own_sections(), after.own_sections()
    for name, size in old_sizes.items():
        # Tables that a linker script collects: an entry that is gone was dropped wrongly.
        if new_sizes.get(name, 0) < size:
            raise Leave(
                f"section {name.decode('utf-8', 'replace')} has {new_sizes.get(name, 0):,} bytes "
                f"in the smaller program instead of {size:,}"
            )
    missing = before.defined(dynamic=True) - after.defined(dynamic=True)
    missing -= {b"_init", b"_fini"}
    if missing:
        some = ", ".join(sorted(name.decode("utf-8", "replace") for name in missing)[:5])
        raise Leave(f"the smaller program no longer exports {some}")


def _usage(path: Path) -> Usage:
    from trimtab.flash import read_usage

    return read_usage(path.read_bytes())


def _cached(files: dict[str, bytes], spec: dict[str, Any], seconds: float) -> bytes:
    """Return the optimised object, from the cache where the same job was run. Raises Leave."""
    from trimtab.wrapper.job import NoAnswer, archive_of, evaluations, optimised_object

    archive = archive_of(files)
    content = json.dumps([_FORMAT, spec, seconds, evaluations()], sort_keys=True).encode()
    key = hashlib.sha256(content + archive).hexdigest()
    folder = store.cache_folder()
    kept, refused = folder / f"{key}.o", folder / f"{key}.why"
    if (found := _found(kept, refused)) is not None:
        return found
    with store.locked(folder):
        if (
            found := _found(kept, refused)
        ) is not None:  # by another process of this build
            return found
        print(f"trimtab cc: optimising for {seconds:g} s", file=sys.stderr, flush=True)
        try:
            code, _ = optimised_object(archive, spec, seconds=seconds)
        except NoAnswer as error:
            if error.final:
                store.put(refused, str(error).encode())
            raise Leave(str(error)) from None
        store.put(kept, code)
    return code


def _found(kept: Path, refused: Path) -> bytes | None:
    """Return the object of an earlier job, or None. Raises Leave where it was refused."""
    if (why := store.get(refused)) is not None:
        raise Leave(why.decode("utf-8", "replace"))
    return store.get(kept)
