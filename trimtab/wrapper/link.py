"""Link with one optimised object in the place of the objects that carry IR."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trimtab.wrapper.command import Command, values
from trimtab.wrapper.objects import carried_ir

_SYSTEM = {"-lm": "m", "-lpthread": "pthread", "-ldl": "dl", "-lrt": "rt"}
_ALWAYS = ("-lc", "-lgcc", "-lgcc_s", "-lgcc_eh", "-lstdc++")
_FORMAT = "3"  # of the cache


class Leave(Exception):
    """The user's own program stays. The message has the reason."""


def improve(command: Command, clang: Sequence[str], *, seconds: float) -> str:
    """Replace the linked program by a smaller one; return one line for people.

    Raises Leave when the user's own program stays.
    """
    out = Path(command.out)
    units: dict[str, bytes] = {}
    for name in command.inputs:
        code = carried_ir(Path(name)) if name.endswith((".o", ".obj", ".lo")) else None
        if code is not None:
            units[name] = code
    if not units:
        raise Leave("no object carries IR")
    files, spec = _job_of(command, units, clang)
    smaller = _cached(files, spec, seconds)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".trimtab-") as scratch:
        made, program = Path(scratch) / "optimised.o", Path(scratch) / out.name
        made.write_bytes(smaller)
        words = _relinked(command, set(units), made, program)
        done = subprocess.run(
            [*clang, *words], capture_output=True, text=True, check=False
        )
        if done.returncode or not program.exists():
            raise Leave(
                f"the optimised object does not link: {done.stderr.strip()[:800]}"
            )
        before, after = (_flash(path) for path in (out, program))
        if after >= before:
            raise Leave(f"{before:,} bytes of flash, and no smaller program was found")
        shutil.copymode(out, program)
        os.replace(program, out)
    return (
        f"{out.name}: {after:,} bytes of flash instead of {before:,} "
        f"({100 * (after - before) / before:+.1f} %)"
    )


def _job_of(
    command: Command, units: dict[str, bytes], clang: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the archive's files and the spec of the job. Raises Leave."""
    words = command.words
    files = {f"unit-{i}.bc": code for i, code in enumerate(units.values())}
    others = [name for name in command.inputs if name not in units]
    if any(name.endswith(".so") for name in others):
        raise Leave("it links with a shared library by its path")
    libraries, archives = _libraries(words)
    for i, name in enumerate([*others, *map(str, archives)]):
        path = Path(name)
        if path.suffix in (".ld", ".lds"):
            continue
        files[f"given-{i}{path.suffix.replace('.lo', '.o')}"] = path.read_bytes()
    image: dict[str, Any] = {"plain_flags": False}
    scripts = [*values(words, "-T"), *values(words, "--script")]
    scripts += [name for name in others if name.endswith((".ld", ".lds"))]
    if scripts:
        files["link.ld"] = Path(scripts[-1]).read_bytes()
        image["script"] = "link.ld"
    if "-shared" in words:
        image["shared"] = True
    if entry := values(words, "-e") + values(words, "--entry"):
        image["entry"] = entry[-1]
    keep = [*values(words, "-u"), *values(words, "--undefined")]
    keep += filter(None, os.environ.get("TRIMTAB_CC_KEEP", "").split(","))
    if keep:
        image["keep"] = keep
    spec: dict[str, Any] = {
        "build": {"files": sorted(name for name in files if name != "link.ld")},
        "target": _target(words, clang),
        "image": image,
        "link": {"libraries": libraries},
        "run_by_itself": False,
    }
    if runs := os.environ.get("TRIMTAB_CC_RUNS"):
        spec["runs"] = json.loads(Path(runs).read_text(encoding="utf-8"))
    return files, spec


def _libraries(words: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Return the system's libraries by name, and the archives of others. Raises Leave."""
    folders = [Path(name) for name in values(words, "-L")]
    system: list[str] = []
    archives: list[Path] = []
    for word in [f"-l{name}" for name in values(words, "-l")]:
        if word in _ALWAYS:
            continue
        if word in _SYSTEM:
            system.append(_SYSTEM[word])
            continue
        found = next(
            (p for f in folders if (p := f / f"lib{word[2:]}.a").is_file()), None
        )
        if found is None:
            raise Leave(f"{word}: expected an archive in a folder of -L, got none")
        archives.append(found)
    return list(dict.fromkeys(system)), archives


def _target(words: Sequence[str], clang: Sequence[str]) -> dict[str, Any]:
    machine = [w for w in words if w.startswith(("-m", "--target=", "-target="))]
    for i, word in enumerate(words[:-1]):
        if word == "-target":
            machine += [word, words[i + 1]]
    done = subprocess.run(
        [*clang, *machine, "-print-target-triple"],
        capture_output=True,
        text=True,
        check=False,
    )
    triple = done.stdout.strip()
    if done.returncode or not triple:
        raise Leave(f"clang names no target: {done.stderr.strip()[:300]}")
    target: dict[str, Any] = {"triple": triple.replace("--", "-unknown-")}
    cpus = [w.partition("=")[2] for w in words if w.startswith(("-mcpu=", "-march="))]
    if cpus and not triple.startswith("x86"):
        target["cpu"] = cpus[-1]
    if "-no-pie" in words or "-static" in words:
        target["pic"] = False
    return target


def _relinked(command: Command, units: set[str], made: Path, program: Path) -> list[str]:
    """Return the link's words with the optimised object in the place of the units."""
    words: list[str] = []
    placed = False
    following = iter(command.words)
    for word in following:
        if word == "-o":
            next(following, None)
            words += ["-o", str(program)]
        elif word.startswith("-o") and word[2:] == command.out:
            words += ["-o", str(program)]
        elif word in units:
            words += [] if placed else [str(made)]
            placed = True
        else:
            words.append(word)
    return [*words, "-Wl,--gc-sections", "-Wl,-O2"]


def _flash(path: Path) -> int:
    from trimtab.flash import read_usage

    return read_usage(path.read_bytes()).flash


def _cached(files: dict[str, bytes], spec: dict[str, Any], seconds: float) -> bytes:
    """Return the optimised object, from the cache where the same job was run. Raises Leave."""
    from trimtab.wrapper.job import NoAnswer, archive_of, optimised_object

    archive = archive_of(files)
    content = json.dumps([_FORMAT, spec, seconds], sort_keys=True).encode()
    key = hashlib.sha256(content + archive).hexdigest()
    folder = cache_folder()
    kept, refused = folder / f"{key}.o", folder / f"{key}.why"
    with _lock(folder / "lock"):  # one job at a time, whatever `make -j` starts
        if kept.is_file():
            return kept.read_bytes()
        if refused.is_file():
            raise Leave(refused.read_text(encoding="utf-8"))
        print(f"trimtab cc: optimising for {seconds:g} s", file=sys.stderr)
        try:
            code, _ = optimised_object(archive, spec, seconds=seconds)
        except NoAnswer as error:
            if error.final:
                _put(refused, str(error).encode())
            raise Leave(str(error)) from None
        _put(kept, code)
    return code


def cache_folder() -> Path:
    """Return the folder of optimised objects: TRIMTAB_CC_CACHE, or one of the user's cache."""
    named = os.environ.get("TRIMTAB_CC_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(named) if named else Path(base) / "trimtab" / "cc"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _put(path: Path, content: bytes) -> None:
    """Write a file at once, so that another process never reads half of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)
