"""`python -m workers.bench compile dropin`: real projects with `trimtab cc` as their compiler.

Each project's own build files are used unchanged. Four builds in one folder, after another: by
clang, by the wrapper without optimisation (TRIMTAB_CC_SECONDS=0), by the wrapper, and by the
wrapper again after `clean`. Reported: CPU seconds of all processes of a build, flash of the
program, and whether it prints the same as clang's. Sources come from Debian
(`python -m workers.corpus`), or from the samples of `tests/cases/compile`.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from trimtab.flash import read_usage
from trimtab.wrapper.clang import find_clang
from trimtab.wrapper.shims import write_shims
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine

_SAMPLES = Path(__file__).resolve().parents[3] / "tests" / "cases" / "compile"
_QEMU = (
    "qemu-system-arm", "-machine", "mps2-an386", "-semihosting-config",
    "enable=on,target=native", "-nographic", "-no-reboot", "-kernel",
)  # fmt: skip
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_ORPHANS_S = 10.0  # that orphans are waited for
BUILDS = ("clang", "plain", "first", "again")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project with its own commands; `{cc}` stands for the compiler."""

    source: str  # folder below the corpus's sources, or of the samples
    configure: tuple[str, ...] = ()  # not timed
    build: tuple[str, ...]
    program: str
    run: tuple[str, ...] = ()  # before the program
    arguments: tuple[str, ...] = ()
    sample: bool = False


PROJECTS: Mapping[str, Project] = {
    "rtos": Project(
        source="rtos", build=("make", "-s", "-j2", "CC={cc}"), program="rtos.elf",
        run=_QEMU, sample=True,
    ),
    "devices": Project(
        source="devices", configure=("cmake", "-G", "Ninja", "-B", "build", "."),
        build=("ninja", "-C", "build"), program="build/devices.elf", run=_QEMU, sample=True,
    ),
    "bzip2": Project(
        source="bzip2", build=("make", "-s", "-j2", "CC={cc}", "CFLAGS=-Oz", "bzip2"),
        program="bzip2", arguments=("--help",),
    ),
    "zlib": Project(
        source="zlib", configure=("./configure", "--static"),
        build=("make", "-s", "-j2", "minigzip"), program="minigzip", arguments=("-h",),
    ),
    "zlib-cmake": Project(
        source="zlib", configure=("cmake", "-G", "Ninja", "-B", "out", "."),
        build=("ninja", "-C", "out", "example"), program="out/example",
    ),
    "lua": Project(
        source="lua5.4", build=("make", "-s", "-j2", "-C", "src", "posix", "CC={cc}",
                                "CFLAGS=-Oz -DLUA_COMPAT_5_3 -DLUA_USE_POSIX"),
        program="src/lua", arguments=("-e", "print(('x'):rep(3), 2^53, #arg)"),
    ),
    "sqlite": Project(
        source="sqlite3", configure=("sh", "-c", "./configure && make sqlite3.c shell.c"),
        build=("{cc}", "-Oz", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "shell.c",
               "sqlite3.c", "-o", "shell", "-lm"),
        program="shell", arguments=(":memory:", "select sum(value) from json_each('[1,2,3]')"),
    ),
}  # fmt: skip


def main(argv: list[str]) -> int:
    """Build the projects; resume from the lines in the output file."""
    options = _parser().parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = earlier_lines(options.out)
    done = {line["project"] for line in lines}
    for name in options.projects:
        if name in done:
            continue
        folder = _source(PROJECTS[name], options.corpus)
        if folder is None:
            print(
                f"{name} is left out: no sources below {options.corpus}", file=sys.stderr
            )
            continue
        line = {"project": name, **_project(PROJECTS[name], folder, options)}
        lines.append(line)
        with options.out.open("a") as out:
            out.write(json.dumps(line | {"machine": machine()}) + "\n")
    report(lines)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile dropin", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument(
        "--projects", nargs="*", choices=list(PROJECTS), default=list(PROJECTS)
    )
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument(
        "--seconds", type=float, default=1200.0, help="limit of a job, not to bind"
    )
    parser.add_argument(
        "--repeat", type=int, default=3, help="of clang and plain; least counts"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-dropin.jsonl"
    )
    return parser


def _source(project: Project, corpus: Path) -> Path | None:
    if project.sample:
        return _SAMPLES / project.source
    found = sorted(
        path for path in (corpus / "sources" / project.source).glob("*") if path.is_dir()
    )
    return found[0] if found else None


def _project(
    project: Project, source: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Make the four builds in one folder: paths are part of what objects hold."""
    seconds: dict[str, float] = {}
    line: dict[str, Any] = {"flash": {}, "output": {}, "said": {}}
    with tempfile.TemporaryDirectory(prefix="trimtab-dropin-") as name:
        place = Path(name)
        write_shims(str(place / "bin"))
        _write_clang(place / "bin" / "clang")
        _write_no_bubblewrap(place / "bin" / "bwrap")
        for build in (*BUILDS[:2] * options.repeat, *BUILDS[2:]):
            cc = str(place / "bin" / ("clang" if build == "clang" else "trimtab-cc"))
            environment = os.environ | {
                "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "CC": cc, "CFLAGS": "-Oz",
                "TRIMTAB_CC_CACHE": str(place / "cache"),
                "TRIMTAB_CC_SECONDS": "0" if build == "plain" else str(options.seconds),
                "TRIMTAB_CC_EVALUATIONS": str(options.pipelines),
            }  # fmt: skip
            folder = place / "project"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder, symlinks=True)
            if project.configure:
                _spent(
                    _words(project.configure, cc),
                    folder,
                    environment | {"TRIMTAB_CC_SECONDS": "0"},
                )
            cpu_s, wall_s, said = _spent(_words(project.build, cc), folder, environment)
            seconds[build] = min(cpu_s, seconds.get(build, float("inf")))
            line["flash"][build] = read_usage(
                (folder / project.program).read_bytes()
            ).flash
            line["output"][build] = _output(project, folder)
            line["said"][build] = [
                t for t in said.splitlines() if t.startswith("trimtab")
            ]
            print(
                f"{source.name} {build}: {cpu_s:.2f} s CPU, {wall_s:.1f} s",
                file=sys.stderr,
            )
    outputs = line.pop("output")
    line["same_output"] = len(set(outputs.values())) == 1 and bool(outputs["clang"])
    return line | {"cpu_s": seconds}


def _write_clang(path: Path) -> None:
    """Write the clang that the wrapper calls as one word: the wheel's takes several."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(find_clang(cxx=False))} "$@"\n')
    path.chmod(0o755)


def _write_no_bubblewrap(path: Path) -> None:
    """Write a bwrap that does not work, so that jobs run in the sandbox without it.

    When a process namespace ends, the kernel reaps what is left in it without counting its time.
    """
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)


def _words(words: Sequence[str], cc: str) -> list[str]:
    return [word.replace("{cc}", cc) for word in words]


def _spent(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> tuple[float, float, str]:
    """Run a command; return its CPU and wall seconds with all descendants, and what it said."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        cpu_s, code = cpu_of(words, folder, environment, said)
        said.seek(0)
        text = said.read()
    if code:
        raise SystemExit(f"{' '.join(words)}: exit code {code}\n{text[-2000:]}")
    return cpu_s, time.monotonic() - started, text


def cpu_of(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    said: IO[str],
) -> tuple[float, int]:
    """Run a command; return CPU seconds and exit code.

    Processes that their parents left, as a job's worker does when its parent ends it, become
    children of this one, so that they count too.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = _children_s()
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdout=said, stderr=said
    )
    code = process.wait()
    ends = time.monotonic() + _ORPHANS_S
    while time.monotonic() < ends:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
        except ChildProcessError:
            break
    return _children_s() - before, code


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _output(project: Project, folder: Path) -> str:
    done = subprocess.run(
        [*project.run, str(folder / project.program), *project.arguments],
        capture_output=True, text=True, errors="replace", timeout=120, check=False,
        stdin=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def report(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print a table: CPU seconds, their ratios, and flash."""
    print("| project | clang, s | no optimisation | second build | flash | same output |")
    print("|---|---:|---:|---:|---:|---|")
    for line in lines:
        cpu, flash = line["cpu_s"], line["flash"]
        change = 100 * (flash["first"] - flash["clang"]) / flash["clang"]
        print(
            f"| {line['project']} | {cpu['clang']:.2f} | {cpu['plain'] / cpu['clang']:.2f} x clang "
            f"| {cpu['again'] / cpu['first']:.2f} x first ({cpu['first']:.1f} s) "
            f"| {flash['clang']:,} → {flash['first']:,} ({change:+.1f} %) "
            f"| {'yes' if line['same_output'] else 'no'} |"
        )
