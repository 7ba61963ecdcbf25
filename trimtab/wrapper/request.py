"""The image job that a link asks for: files and spec."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.wrapper.archives import archive_of_members, is_thin, members
from trimtab.wrapper.command import Command, values
from trimtab.wrapper.program import Program, stubs

_LIBRARIES = {
    "-lm": "m",
    "-lpthread": "pthread",
    "-pthread": "pthread",
    "-ldl": "dl",
    "-lrt": "rt",
}
_MOST_KEPT = 1000
# Of the machine's words, what a job takes as flags; the rest is in the functions' attributes.
_FLAG = re.compile(r"-mfloat-abi=\w+|-mfpu=[\w.+-]+|-mabi=[\w-]+|-mcmodel=(small|medany)")


def target_of(
    words: Sequence[str], clang: Sequence[str]
) -> tuple[dict[str, Any] | None, bool]:
    """Return the job's target, or None, and whether an operating system runs the program."""
    own = _driver_line(machine_words(words), clang)
    if "-triple" not in own:
        return None, False
    triple = own[own.index("-triple") + 1]
    target: dict[str, Any] = {"triple": triple}
    hosted = not re.search(r"-none(-|$)|-unknown-(elf|eabi)|-elf$", triple)
    if cpu := [w.partition("=")[2] for w in words if w.startswith("-mcpu=")]:
        target["cpu"] = cpu[-1]
    if triple.startswith("riscv"):
        named = [own[i + 1] for i, word in enumerate(own) if word == "-target-feature"]
        target["features"] = ",".join(
            n for n in named if n.startswith("+") and n != "+relax"
        )
    if "-no-pie" in words or "-static" in words:
        target["pic"] = False
    return target, hosted


def _driver_line(machine: Sequence[str], clang: Sequence[str]) -> list[str]:
    """Return the line that clang's driver makes of the words for the machine."""
    line = [*clang, *machine, "-###", "-x", "c", "-c", os.devnull, "-o", os.devnull]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    text = next((t for t in done.stderr.splitlines() if '"-cc1"' in t), "")
    return [] if done.returncode else shlex.split(text)


def machine_flags(words: Sequence[str], clang: Sequence[str]) -> list[str]:
    """Return the flags for the machine that change anything: a job refuses the others."""
    machine = machine_words(words)
    flags = []
    for flag in dict.fromkeys(word for word in machine if _FLAG.fullmatch(word)):
        others = [word for word in machine if word != flag]
        if _driver_line(others, clang) != _driver_line(machine, clang):
            flags.append(flag)
    return flags


def machine_words(words: Sequence[str]) -> list[str]:
    """Return the words that choose the machine."""
    machine = [
        w
        for w in words
        if w.startswith(("-m", "--target=", "-target=")) and w != "-mllvm"
    ]
    for i, word in enumerate(words[:-1]):
        if word == "-target":
            machine += [word, words[i + 1]]
    return [word for word in machine if word not in ("-mrelax-all",)]


def job_of(
    command: Command,
    program: Program,
    target: dict[str, Any],
    flags: list[str],
    script: str,
    exports: set[bytes],
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the archive's files and the spec of the job. Raises ValueError."""
    words = command.words
    files = {f"unit-{i:04}.bc": code for i, code in enumerate(program.units.values())}
    if program.cxx:
        files["cxx.cpp"] = b"// The program is linked as C++.\n"
    for i, path in enumerate(program.given):
        if path.suffix == ".a":
            # A thin archive has no contents of its own.
            whole = path.read_bytes()
            files[f"given-{i:03}.a"] = (
                archive_of_members(members(path)) if is_thin(whole) else whole
            )
        else:
            files[f"given-{i:03}.o"] = path.read_bytes()
    for i, archive in enumerate(program.archives.values()):
        if archive.rest:
            files[f"rest-{i:03}.a"] = archive_of_members(archive.rest)
    if text := stubs(program):
        files["stubs.S"] = text.encode()
    image: dict[str, Any] = {"plain_flags": False}
    if script:
        files["link.ld"] = script.encode()
        image["script"] = "link.ld"
    if "-shared" in words:
        image["shared"] = True
    if entry := values(words, "-e", "--entry"):
        image["entry"] = entry[-1]
    if keep := _kept(words, program, exports, shared="-shared" in words):
        image["keep"] = keep
    spec: dict[str, Any] = {
        "build": {
            "files": sorted(name for name in files if name != "link.ld"),
            "flags": flags,
        },
        "target": target,
        "image": image,
        "link": {"libraries": sorted({_LIBRARIES[w] for w in words if w in _LIBRARIES})},
        "run_by_itself": False,
    }
    if (runs := os.environ.get("TRIMTAB_CC_RUNS")) and not text:
        spec["runs"] = json.loads(Path(runs).read_text(encoding="utf-8"))
    return files, spec


def _kept(
    words: Sequence[str], program: Program, exports: set[bytes], *, shared: bool
) -> list[str]:
    """Return the symbols that the command line or shared objects refer to. Raises ValueError."""
    named = values(words, "-u", "--undefined", "--require-defined")
    keep = [name for name in named if program.bitcode or name.encode() in program.defined]
    keep += filter(None, os.environ.get("TRIMTAB_CC_KEEP", "").split(","))
    if not shared:
        if exports and program.bitcode and "-rdynamic" in words:
            raise ValueError("the program exports symbols of objects made by -flto")
        keep += sorted(
            name.decode("utf-8", "replace") for name in exports & program.defined
        )
    if len(keep) > _MOST_KEPT:
        raise ValueError(
            f"it exports {len(keep):,} symbols; a job keeps at most {_MOST_KEPT:,}"
        )
    return list(dict.fromkeys(keep))
