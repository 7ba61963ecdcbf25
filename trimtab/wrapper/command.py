"""Command lines of a compiler: compile, link, or something to pass on unchanged."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# Answers, preprocessing and forms of output that carry no IR.
_PASSED_ON = re.compile(
    r"-E|-S|-M|-MM|-v|-V|-###|--version|-dumpmachine|-dumpversion|-print-.*|--print-.*|--help.*"
    r"|-fsyntax-only|-emit-llvm|-flto.*|-r|-Wl,-r|-Wl,--relocatable|-rdynamic"
    r"|-Wl,(-E|--export-dynamic)|-x|-fembed-bitcode.*|-\?"
)
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".c++", ".C", ".i", ".ii", ".m", ".mm")
_ASSEMBLY = (".s", ".S", ".sx", ".asm")
_LINKED = (".o", ".obj", ".a", ".lo")
# Options whose value is the next word.
_VALUED = """
-o -T -L -I -D -U -l -u -e -x -include -isystem -iquote -idirafter -imacros -isysroot --sysroot -MF
-MT -MQ -Xlinker -Xclang -Xassembler -Xpreprocessor -mllvm -target -arch -z -soname -B
"""
_WITH_VALUE = frozenset(_VALUED.split())
# Programs that configure scripts build to learn about the machine.
_PROBE = re.compile(
    r"CMakeFiles/(CMakeTmp|CMakeScratch|[\d.]+/CompilerId)|CompilerIdC|meson-private|conftest"
    r"|TryCompile|cmTC_"
)


class Action(Enum):
    """What a command line does."""

    OTHER = "other"
    COMPILE = "compile"
    LINK = "link"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line with what the wrapper needs of it."""

    action: Action
    words: tuple[str, ...]  # with response files expanded
    inputs: tuple[str, ...] = ()
    out: str = ""


def read_command(words: Sequence[str], cwd: Path) -> Command:
    """Tell what a compiler's command line does."""
    expanded = tuple(_expanded(words))
    passed = Command(action=Action.OTHER, words=expanded)
    inputs: list[str] = []
    out, i = "", 0
    while i < len(expanded):
        word = expanded[i]
        if word == "-o" and i + 1 < len(expanded):
            out = expanded[i + 1]
        if word in _WITH_VALUE and word != "-x":
            i += 2
            continue
        if _PASSED_ON.fullmatch(word):
            return passed
        if word.startswith("-o") and len(word) > 2:
            out = word[2:]
        elif not word.startswith("-"):
            inputs.append(word)
        i += 1
    if not inputs or _PROBE.search(f"{cwd.as_posix()}/{out} {' '.join(inputs)}"):
        return passed
    if "-c" in expanded:
        sources = all(name.endswith(_SOURCES) for name in inputs)
        action = Action.COMPILE if sources else Action.OTHER
    elif out and all(name.endswith((*_LINKED, ".so", ".ld", ".lds")) for name in inputs):
        action = Action.LINK
    else:
        action = Action.OTHER
    return Command(action=action, words=expanded, inputs=tuple(inputs), out=out)


def values(words: Sequence[str], option: str) -> list[str]:
    """Return the values of a linker option: `-T x`, `-Tx`, `-Wl,-T,x`, `-Wl,--long=x`."""
    flat: list[str] = []
    for word in words:
        flat += word.split(",")[1:] if word.startswith("-Wl,") else [word]
    found = []
    for i, word in enumerate(flat):
        if word == option and i + 1 < len(flat):
            found.append(flat[i + 1])
        elif option.startswith("--") and word.startswith(f"{option}="):
            found.append(word.partition("=")[2])
        elif not option.startswith("--") and word.startswith(option) and word != option:
            found.append(word[len(option) :])
    return found


def _expanded(words: Sequence[str]) -> list[str]:
    """Replace `@file` by the words in the file, as compilers do."""
    expanded: list[str] = []
    for word in words:
        if word.startswith("@") and os.path.isfile(word[1:]):
            text = Path(word[1:]).read_text(encoding="utf-8", errors="replace")
            expanded += _expanded(shlex.split(text))
        else:
            expanded.append(word)
    return expanded
