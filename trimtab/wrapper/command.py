"""Command lines of a compiler: compile, link, or something to pass on unchanged.

A build reads one for each source, so neither dataclasses nor `re` are imported here: they take
longer than a small compilation may.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

COMPILE, LINK, OTHER = "compile", "link", "other"  # what a command line does
# Answers, preprocessing and forms of output that carry no IR.
_OTHER_WORDS = """
-E -S -M -MM -v -V -### --version -dumpmachine -dumpversion -fsyntax-only -emit-llvm -r -Wl,-r
-Wl,--relocatable -rdynamic -Wl,-E -Wl,--export-dynamic -x -?
"""
_OTHER = frozenset(_OTHER_WORDS.split())
_OTHER_STARTS = ("-print-", "--print-", "--help", "-flto", "-fembed-bitcode")
_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".c++", ".C", ".i", ".ii")
_LINKED = (".o", ".obj", ".a", ".lo", ".so", ".ld", ".lds")
# Options whose value is the next word.
_VALUED = """
-o -T -L -I -D -U -l -u -e -include -isystem -iquote -idirafter -imacros -isysroot --sysroot -MF
-MT -MQ -Xlinker -Xclang -Xassembler -Xpreprocessor -mllvm -target -arch -z -soname -B
"""
_WITH_VALUE = frozenset(_VALUED.split())
# Programs that configure scripts build to learn about the machine.
_PROBES = (
    "CMakeFiles/CMakeTmp", "CMakeFiles/CMakeScratch", "/CompilerIdC", "meson-private", "conftest",
    "TryCompile", "cmTC_",
)  # fmt: skip


class Command:
    """A command line with what the wrapper needs of it."""

    __slots__ = ("action", "inputs", "out", "words")

    def __init__(
        self,
        action: str,
        words: Sequence[str],
        inputs: Sequence[str] = (),
        out: str = "",
    ) -> None:
        self.action = action  # COMPILE, LINK or OTHER
        self.words = tuple(words)  # with response files expanded
        self.inputs, self.out = tuple(inputs), out


def read_command(words: Sequence[str], cwd: str) -> Command:
    """Tell what a compiler's command line does."""
    expanded = _expanded(words)
    inputs: list[str] = []
    out, i = "", 0
    while i < len(expanded):
        word = expanded[i]
        if word == "-o" and i + 1 < len(expanded):
            out = expanded[i + 1]
        if word in _WITH_VALUE:
            i += 2
            continue
        if word in _OTHER or word.startswith(_OTHER_STARTS):
            return Command(OTHER, expanded)
        if word.startswith("-o") and len(word) > 2:
            out = word[2:]
        elif not word.startswith("-"):
            inputs.append(word)
        i += 1
    place = " ".join((f"{cwd}/{out}", *inputs))
    if not inputs or any(probe in place for probe in _PROBES):
        return Command(OTHER, expanded)
    if "-c" in expanded:
        sources = all(name.endswith(_SOURCES) for name in inputs)
        return Command(COMPILE if sources else OTHER, expanded, inputs, out)
    if out and all(name.endswith(_LINKED) for name in inputs):
        return Command(LINK, expanded, inputs, out)
    return Command(OTHER, expanded)


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
            import shlex

            with open(word[1:], encoding="utf-8", errors="replace") as file:
                expanded += _expanded(shlex.split(file.read()))
        else:
            expanded.append(word)
    return expanded
