"""Command lines of a compiler: compile, link, both, or something to pass on unchanged.

A build reads one for each source, so neither dataclasses nor `re` are imported here: they take
longer than a small compilation may.
"""

from __future__ import annotations

import os

from trimtab.wrapper.response import expanded

TYPE_CHECKING = False  # as the name of `typing`, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence

# What a command line does; BUILD compiles sources and links them at once.
COMPILE, LINK, BUILD, OTHER = "compile", "link", "build", "other"
# What an input is.
SOURCE, ASSEMBLY, FILE, UNKNOWN = "source", "assembly", "file", "unknown"
# Answers, preprocessing and forms of output that carry no IR.
_OTHER_WORDS = """
-E -S -M -MM -v -V -### --version -version -dumpmachine -dumpversion -fsyntax-only -emit-llvm
-emit-ast -r -Wl,-r -Wl,--relocatable -MJ -? --analyze -rewrite-objc --precompile -extract-api
--coverage -ftest-coverage -include-pch -cc1 -cc1as
"""
_OTHER = frozenset(_OTHER_WORDS.split())
_OTHER_STARTS = (
    "-print-", "--print-", "--help", "-fembed-bitcode", "-fsanitize", "-fprofile",
    "-fcoverage", "-fmodules", "-fdriver-only", "-save-temps", "--save-temps", "--config",
)  # fmt: skip
_SUFFIXES = {
    **dict.fromkeys(
        (".c", ".cc", ".cp", ".cpp", ".cxx", ".c++", ".C", ".CPP", ".i", ".ii"), SOURCE
    ),
    **dict.fromkeys((".s", ".S", ".sx", ".asm"), ASSEMBLY),
    **dict.fromkeys(
        (".h", ".hh", ".hpp", ".hxx", ".H", ".m", ".mm", ".M", ".mi", ".mii", ".cu", ".cl",
         ".ll", ".bc", ".f", ".F", ".f90", ".F90", ".pcm", ".pch", ".ast", ".cppm", ".ixx"),
        UNKNOWN,
    ),
}  # fmt: skip
_LANGUAGES = {
    "c": SOURCE, "c++": SOURCE, "cpp-output": SOURCE, "c++-cpp-output": SOURCE,
    "assembler": ASSEMBLY, "assembler-with-cpp": ASSEMBLY,
}  # fmt: skip
# Options whose value is the next word.
_VALUED = """
-o -T -L -I -D -U -l -u -e -x -include -isystem -isystem-after -iquote -idirafter -imacros -iprefix
-iwithprefix -iwithprefixbefore -iwithsysroot -isysroot -iframework -F -framework --sysroot -MF -MT
-MQ -Xlinker -Xclang -Xassembler -Xpreprocessor -Xanalyzer -mllvm -target -arch -z -soname -B -A -G
--param -working-directory -ivfsoverlay -aux-info -Tbss -Tdata -Ttext -rpath -dependency-file
-dependency-dot --serialize-diagnostics -serialize-diagnostics -wrapper -specs -y
--output --include --define-macro --undefine-macro --include-directory --language -dumpdir
-dumpbase -dumpbase-ext
"""
_WITH_VALUE = frozenset(_VALUED.split())
# Programs that configure scripts build to learn about the machine.
_PROBES = (
    "CMakeFiles/CMakeTmp", "CMakeFiles/CMakeScratch", "/CompilerIdC", "meson-private", "conftest",
    "TryCompile", "cmTC_", "ffconf.", "/ztest",
)  # fmt: skip


class Input:
    """A word that names a file to compile or to link."""

    __slots__ = ("at", "kind", "language", "name")

    def __init__(self, at: int, name: str, kind: str, language: str) -> None:
        self.at = at  # place among the words
        self.name, self.kind = name, kind  # SOURCE, ASSEMBLY, FILE or UNKNOWN
        self.language = language  # of an `-x` before it, or ""


class Command:
    """A command line with what the wrapper needs of it."""

    __slots__ = ("action", "files", "out", "words")

    def __init__(
        self,
        action: str,
        words: Sequence[str],
        files: Sequence[Input] = (),
        out: str = "",
    ) -> None:
        self.action = action  # COMPILE, LINK, BUILD or OTHER
        self.words = tuple(words)  # with response files expanded
        self.files, self.out = tuple(files), out  # out is empty for several objects

    @property
    def objects(self) -> list[str]:
        """Return the objects that a compilation writes."""
        if self.out:
            return [self.out]
        names = [
            os.path.basename(f.name) for f in self.files if f.kind in (SOURCE, ASSEMBLY)
        ]
        return [f"{os.path.splitext(name)[0]}.o" for name in names]


def read_command(words: Sequence[str], cwd: str) -> Command:
    """Tell what a compiler's command line does."""
    every = expanded(words)
    if any(word in _OTHER or word.startswith(_OTHER_STARTS) for word in every):
        return Command(OTHER, every)
    files, out = _files_and_out(every)
    place = " ".join((f"{cwd}/{out}", *(file.name for file in files)))
    kinds = {file.kind for file in files}
    if not files or UNKNOWN in kinds or any(probe in place for probe in _PROBES):
        return Command(OTHER, every)
    lto = any(word.startswith("-flto") for word in every)
    if "-c" in every or "--compile" in every:
        carries = SOURCE in kinds and not lto and out not in ("/dev/null", "-")
        return Command(COMPILE if carries else OTHER, every, files, out)
    if out == "/dev/null" or any(file.name == "-" for file in files):
        return Command(OTHER, every)
    if SOURCE in kinds or ASSEMBLY in kinds:
        return Command(OTHER if lto else BUILD, every, files, out or "a.out")
    return Command(LINK, every, files, out or "a.out")


def _files_and_out(words: Sequence[str]) -> tuple[list[Input], str]:
    files: list[Input] = []
    out, language, i, names_only = "", "", 0, False
    while i < len(words):
        word = words[i]
        if names_only or word == "-" or not word.startswith("-"):
            files.append(Input(i, word, _kind(word, language), language))
        elif word == "--":
            names_only = True
        elif word in _WITH_VALUE:
            value = words[i + 1] if i + 1 < len(words) else ""
            if word in ("-o", "--output"):
                out = value
            elif word in ("-x", "--language"):
                language = "" if value == "none" else value
            i += 1
        elif word.startswith("-o") and not word.startswith(("-objc", "-obj")):
            out = word[2:]
        elif word.startswith("--output="):
            out = word[9:]
        elif word.startswith("-x"):
            language = "" if word == "-xnone" else word[2:]
        i += 1
    return files, out


def _kind(name: str, language: str) -> str:
    if language:
        return _LANGUAGES.get(language, UNKNOWN)
    return _SUFFIXES.get(os.path.splitext(name)[1], FILE)


def values(words: Sequence[str], *options: str) -> list[str]:
    """Return the values of linker options: `-T x`, `-Tx`, `-Wl,-T,x`, `-Wl,--long=x`.

    A long option matches with one hyphen and with two.
    """
    flat = linker_words(words)
    found = []
    for i, word in enumerate(flat):
        for option in options:
            long = option.startswith("--")
            same = word == option or (long and word == option[1:])
            if same and i + 1 < len(flat):
                found.append(flat[i + 1])
            elif (
                long and word.lstrip("-").startswith(f"{option[2:]}=") and word[0] == "-"
            ):
                found.append(word.partition("=")[2])
            elif not long and not same and word.startswith(option):
                if option == "-T" and word.startswith(("-Tbss", "-Tdata", "-Ttext")):
                    continue
                if option == "-e" and not word.startswith("-e="):
                    continue  # -emit-…, -export-dynamic
                found.append(word[len(option) :].removeprefix("="))
    return found


def linker_words(words: Sequence[str]) -> list[str]:
    """Return a driver's words with those for the linker unpacked from -Wl and -Xlinker."""
    flat: list[str] = []
    for word in words:
        if word.startswith("-Wl,"):
            flat += word.split(",")[1:]
        elif word != "-Xlinker":
            flat.append(word)
    return flat


def without_outputs(words: Sequence[str]) -> list[str]:
    """Return a link's words without the files that it writes: program, map, dependencies."""
    left: list[str] = []
    i = 0
    while i < len(words):
        word = words[i]
        parts = word.split(",")[1:] if word.startswith("-Wl,") else [word]
        if word == "--":  # only files follow
            return [*left, *words[i:]]
        if word in ("-o", "--output", "-MF", "-MT", "-MQ", "-dependency-file"):
            i += 1
        elif word == "-Xlinker" and i + 1 < len(words):
            i += 1
            value = words[i]
            if _writes(value):
                # `-Xlinker -Map -Xlinker file`, or `-Xlinker -Map=file`
                i += 0 if "=" in value else 2
            else:
                left += [word, value]
        elif _is_output(word):
            pass
        elif word.startswith("-Wl,"):
            kept = _without_writers(parts)
            left += [",".join(["-Wl", *kept])] if kept else []
        else:
            left.append(word)
        i += 1
    return left


def with_words(words: Sequence[str], *more: str) -> list[str]:
    """Return a driver's words with more at the end, but before `--`: only files follow it."""
    for i, word in enumerate(words):
        if word == "--" and (i == 0 or words[i - 1] not in _WITH_VALUE):
            return [*words[:i], *more, *words[i:]]
    return [*words, *more]


_WRITERS = (
    "Map",
    "dependency-file",
    "print-map",
    "why-extract",
    "cref",
    "M",
    "time-trace-file",
)


def _writes(word: str) -> bool:
    name = word.lstrip("-").partition("=")[0]
    return word.startswith("-") and name in _WRITERS


def _without_writers(parts: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for part in parts:
        if skip:
            skip = False
        elif _writes(part):
            skip = "=" not in part and part.lstrip("-") in ("Map", "dependency-file")
        else:
            kept.append(part)
    return kept


def _is_output(word: str) -> bool:
    return (
        (word.startswith("-o") and len(word) > 2 and not word.startswith("-obj"))
        or word.startswith("--output=")
        or word in ("-MD", "-MMD", "-MP", "-MG")
        or word.startswith(("-MF", "-MT", "-MQ"))
    )
