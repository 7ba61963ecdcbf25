"""Command lines in random order: the wrapper reads them as clang's driver does.

Clang prints what it would run (`-###`), and that is the reference: inputs, outputs, and the line of
the linker.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.wrapper.clang import find_clang
from trimtab.wrapper.command import (
    ASSEMBLY,
    BUILD,
    COMPILE,
    LINK,
    OTHER,
    SOURCE,
    read_command,
    with_words,
    without_outputs,
)
from trimtab.wrapper.sections import carried_ir

FILES = (
    "a.c",
    "s p.c",
    "ünï.cpp",
    "in d/x.cc",
    "x.o",
    "y 'z'.o",
    "low.s",
    "lib.a",
    "-odd.c",
)
# Words that stay together, in any order among themselves.
GROUPS: tuple[tuple[str, ...], ...] = (
    ("-Oz",), ("-g",), ("-Wall",), ("-std=c11",), ("-pthread",), ("-fPIC",), ("-w",),
    ("-DX=1",), ("-D", "Y=a b"), ("-DZ=\"q\\'\"",), ("-U", "X"), ("-I", "in d"), ("-Iin d",),
    ("-isystem", "in d"), ("-include", "in d/api.h"), ("-MD",), ("-MMD", "-MP"),
    ("-MF", "d e.d", "-MD"), ("-MQ", "t", "-MD"), ("-MTt", "-MD"),
    ("-Xclang", "-fno-pch-timestamp"), ("-mllvm", "-disable-lsr"),
    ("-x", "c"), ("-xc++",), ("-x", "none"), ("-xnone",), ("--language", "c"),
    ("-lm",), ("-l", "m"), ("-L", "in d"), ("-Lin d",), ("-no-pie",), ("-s",), ("-rdynamic",),
    ("-Wl,--gc-sections",), ("-Wl,-Map=m p,--icf=none",), ("-Wl,-Map,m",), ("-Xlinker", "-Map=m"),
    ("-Xlinker", "-Map", "-Xlinker", "m"), ("-Xlinker", "--gc-sections"), ("-u", "main"),
    ("-Wl,-u,main",), ("-Wl,--dependency-file=d",), ("-z", "now"), ("-Wl,-z,relro",),
    ("-o", "out"), ("-oout",), ("--output", "o t.o"), ("--output=out",), ("-c",), ("--compile",),
    ("-E",), ("-S",), ("-M",), ("-fsyntax-only",), ("-r",), ("-shared",), ("-save-temps",),
)  # fmt: skip
_TEMPORARY = re.compile(r"/tmp/[^/]+-[0-9a-f]+\.o")
_WRITERS = ("-Map", "--dependency-file")


@dataclass(frozen=True)
class Driver:
    """Work that clang's driver plans."""

    sources: tuple[str, ...]
    outputs: tuple[str, ...]  # of the compiler and the assembler
    link: tuple[str, ...]  # words for the linker, empty without a link


def driver(words: Sequence[str], folder: Path) -> Driver | None:
    """Ask clang; None for a command line that it refuses."""
    done = subprocess.run(
        [*find_clang(cxx=False), "-###", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return None
    lines = [shlex.split(t) for t in done.stderr.splitlines() if t.startswith(' "')]
    compiled = [words for words in lines if "-cc1" in words[:3]]
    assembled = [words for words in lines if "-cc1as" in words[:3]]
    linked = [
        words for words in lines if words not in compiled and words not in assembled
    ]
    return Driver(
        sources=tuple(words[-1] for words in compiled),
        outputs=tuple(
            _after(words, "-o") for words in (*compiled, *assembled) if "-o" in words
        ),
        link=tuple(_TEMPORARY.sub("made.o", word) for word in linked[-1])
        if linked
        else (),
    )


def _after(words: Sequence[str], option: str) -> str:
    return words[len(words) - 1 - list(reversed(words)).index(option) + 1]


def _unwritten(link: Sequence[str]) -> list[str]:
    """Return the linker's words without outputs."""
    left: list[str] = []
    words = iter(link)
    for word in words:
        if word in ("-o", "-Map"):
            next(words)
        elif not word.startswith(_WRITERS):
            left.append(word)
    return left


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lines") / "plä ce"
    (place / "in d").mkdir(parents=True)
    for name in (*FILES, "in d/api.h"):
        (place / name).write_text("int x;\n" if name.endswith("c") else "")
    return place


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Draw words: a few files and groups of flags, shuffled."""
    files = draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=3, unique=True))
    flags = draw(st.lists(st.sampled_from(GROUPS), max_size=7, unique=True))
    plain = [(name,) for name in files if not name.startswith("-")]
    order = draw(st.permutations([*flags, *plain]))
    last = [name for name in files if name.startswith("-")]
    return [
        *(word for group in order for word in group),
        *(["--", *last] if last else []),
    ]


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(words=lines(), cut=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_lines_are_read_as_clang_reads_them(
    folder: Path, words: list[str], cut: tuple[int, int]
) -> None:
    first, last = sorted(cut)
    (folder / "rest.rsp").write_text(_quoted(words[first:last]))
    shortened = [*words[:first], f"@{folder}/rest.rsp", *words[last:]]
    command = read_command(shortened, str(folder))
    assert command.words == tuple(words)
    plan = driver(shortened, folder)
    if plan is None or command.action == OTHER:
        return  # clang's own business: the wrapper replaces itself by clang
    sources = [file.name for file in command.files if file.kind == SOURCE]
    if command.action == COMPILE:
        assert not plan.link
        assert sorted(command.objects) == sorted(plan.outputs)
    else:
        assert command.action == (BUILD if plan.outputs else LINK)
        assert _after(plan.link, "-o") == command.out
        rest = without_outputs(command.words)
        again = driver(with_words(rest, "-o", "other"), folder)
        assert again is not None
        assert _after(again.link, "-o") == "other"
        assert _unwritten(again.link) == _unwritten(plan.link)
    assembly = [file for file in command.files if file.kind == ASSEMBLY]
    assert set(sources) == set(plan.sources) - {file.name for file in assembly}


def _quoted(words: Sequence[str]) -> str:
    """Quote words for a response file: a backslash before all that is special."""
    return "\n".join(re.sub(r"""([\s'"\\])""", r"\\\1", word) for word in words)


def test_programs_are_built_in_folders_of_any_name(tmp_path: Path) -> None:
    """Objects carry IR, and run as clang's, below spaces, quotes and letters of other scripts."""
    place = tmp_path / "プロ 'ject' ü"
    place.mkdir()
    (place / "s p.c").write_text("int twice(int x) { return 2 * x; }\n")
    (place / "mäin.c").write_text(
        "int twice(int); int main(void) { return twice(21); }\n"
    )
    (place / "rest.rsp").write_text(_quoted(["-o", f"{place}/t w.o", f"{place}/s p.c"]))
    cc = [sys.executable, "-m", "trimtab.cli", "cc"]
    environment = os.environ | {"TRIMTAB_CC_SECONDS": "0"}
    for line in (["-c", f"@{place}/rest.rsp"], ["mäin.c", "t w.o", "-o", "prog ü"]):
        subprocess.run([*cc, *line], cwd=place, env=environment, check=True)
    assert carried_ir((place / "t w.o").read_bytes()) is not None
    assert subprocess.run([place / "prog ü"], check=False).returncode == 42
