"""LLVM's own programs (opt, llc, llvm-nm, llvm-readelf, clang), run as processes on files.

The check of an answer measures with these, so that its figures do not come from the engine that
searched. Nothing of LLVM is loaded into this process.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.driver import object_by_clang
from solvers.llvm.frontend import SourceError
from solvers.llvm.install import Installed
from solvers.llvm.ir_text import SYMBOL
from solvers.llvm.types import LlvmMissing, Recipe, Target

_DETAIL_CHARS = 2000
# clang discards value names too: without this, equal programs are different files.
_DISCARD_NAMES = "-discard-value-names"
_TRIPLE = re.compile(r'^target triple = "', re.MULTILINE)
_DISCARDABLE_FUNCTION = re.compile(
    rf"^define [^@\n]*\blinkonce(?:_odr)?\b[^@\n]*{SYMBOL}\(", re.MULTILINE
)
_DISCARDABLE_VALUE = re.compile(
    rf"^{SYMBOL} = [^@\n]*?\blinkonce(?:_odr)?\b", re.MULTILINE
)
_FEATURES = re.compile(r'"target-features"="([^"]*)"')
_INSTRUCTIONS = re.compile(r"^TotalInstructionCount: (\d+)", re.MULTILINE)
# A row of `llvm-readelf -SW`: [number] name type address offset size entry-size flags
_SECTION = re.compile(
    r"^\s*\[\s*\d+\]\s+(?P<name>\S+)\s+(?P<type>\S+)\s+[0-9a-f]+\s+[0-9a-f]+"
    r"\s+(?P<size>[0-9a-f]+)\s+[0-9a-f]+\s+(?P<flags>[A-Za-z]*)\s"
)


# Cache: (file, modification time) → features of its functions. A job's check and its files both
# need them.
_function_features: dict[tuple[Path, int], frozenset[str]] = {}


class LlvmProgramFailed(Exception):
    """A program of LLVM refused its input, crashed or timed out; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class ObjectSizes:
    """Section sizes of an object file by `llvm-readelf`, in bytes."""

    code_bytes: int
    loadable_bytes: int
    sections: Mapping[str, int]  # allocated sections that occupy the file
    ram_bytes: int = (
        0  # allocated sections that may be written, thread-local ones without data not
    )


@dataclass(frozen=True, kw_only=True)
class LlvmPrograms:
    """Programs of one LLVM installation, called for one target."""

    installed: Installed
    target: Target  # with everything decided
    front_end: Target | None = None  # as clang's driver takes it
    flags: tuple[str, ...] = ()  # of the caller, for clang
    module: Path | None = None  # the unoptimised program
    timeout_s: float = 120.0

    def opt(
        self, pipeline: str, module: Path, out: Path, *, options: Sequence[str] = ()
    ) -> None:
        """Run `opt -passes=PIPELINE module -o out`. Raises LlvmProgramFailed."""
        words = (f"-passes={pipeline}", *options, *self._opt_words(), _DISCARD_NAMES)
        self._call("opt", *words, str(module), "-o", str(out))

    def replay(self, recipe: Recipe, module: Path, out: Path) -> None:
        """Optimise `module` by the `opt` lines of `commands`, for a recipe with `by_opt`.

        Raises LlvmProgramFailed.
        """
        if not recipe.late_attributes:
            self.opt(recipe.pipeline, module, out, options=recipe.options)
            return
        passes = out.with_name(f"{out.stem}-passes.bc")
        self.opt(recipe.pipeline, module, passes, options=recipe.options)
        words = (*_late_attribute_words(recipe), _DISCARD_NAMES)
        self._call("opt", *words, str(passes), "-o", str(out))

    def emit_object(
        self, module: Path, out: Path, *, level: str = "2", options: Sequence[str] = ()
    ) -> None:
        """Make an object file by `llc`, which optimises no IR. Raises LlvmProgramFailed."""
        words = _without_overridden(options, self._llc_words())
        self._call(
            "llc", f"-O{level}", "-filetype=obj", *words, str(module), "-o", str(out)
        )

    def clang(
        self, module: Path, out: Path, *, level: str, bitcode: bool = False
    ) -> None:
        """Make an object file, or bitcode, by clang at `level`, as its user does.

        Raises LlvmProgramFailed.
        """
        assert self.front_end is not None
        try:
            object_by_clang(
                module,
                out,
                requested=self.front_end,
                flags=self.flags,
                level=level,
                bitcode=bitcode,
                timeout_s=self.timeout_s,
            )
        except (SourceError, LlvmMissing) as error:
            message = f"clang -{level}: {str(error)[:_DETAIL_CHARS]}"
            raise LlvmProgramFailed(message) from error

    def assemble(self, text: Path, out: Path) -> None:
        """Turn textual IR into verified bitcode; a module without a triple gets the target's.

        Raises LlvmProgramFailed.
        """
        has_triple = _TRIPLE.search(text.read_text(errors="replace"))
        words = () if has_triple else (f"-mtriple={self.target.triple}",)
        self._call("opt", "-passes=verify", *words, str(text), "-o", str(out))

    def verify(self, module: Path) -> None:
        """Run LLVM's verifier on a file. Raises LlvmProgramFailed with its message."""
        self._call("opt", "-passes=verify", "-disable-output", str(module))

    def disassemble(self, module: Path) -> str:
        """Return the textual IR of bitcode or text (by `opt -S`, which takes both)."""
        return self._call("opt", "-passes=verify", "-S", str(module), "-o", "-")

    def count_instructions(self, module: Path) -> int:
        """Count the instructions of all functions by LLVM's own analysis."""
        words = ("-passes=print<func-properties>", "-disable-output", str(module))
        report = self._call("opt", *words, with_stderr=True)
        return sum(int(count) for count in _INSTRUCTIONS.findall(report))

    def external_symbols(self, file: Path) -> frozenset[str]:
        """List the external symbols that a module or object defines, by `llvm-nm`."""
        words = ("--extern-only", "--defined-only", "--format=just-symbols", str(file))
        lines = self._call("llvm-nm", *words).splitlines()
        return frozenset(
            line.strip() for line in lines if line.strip() and not line.endswith(":")
        )

    def object_sizes(self, file: Path) -> ObjectSizes:
        """Measure the sections of an object by `llvm-readelf`."""
        code = loadable = ram = 0
        sections: dict[str, int] = {}
        for line in self._call("llvm-readelf", "-SW", str(file)).splitlines():
            row = _SECTION.match(line)
            if row is None or "A" not in row["flags"]:
                continue
            size, empty = int(row["size"], 16), row["type"] == "NOBITS"
            if _in_ram(row):
                ram += size
            if empty:
                continue
            loadable += size
            code += size if "X" in row["flags"] else 0
            sections[row["name"]] = sections.get(row["name"], 0) + size
        return ObjectSizes(
            code_bytes=code, loadable_bytes=loadable, sections=sections, ram_bytes=ram
        )

    def commands(self, recipe: Recipe) -> list[str]:
        """Return the shell lines that repeat a pipeline and make the object by hand."""
        llc_words, opt_words = _quoted(self._llc_words()), _quoted(self._opt_words())
        late = recipe.by_opt and recipe.late_attributes
        after_passes = "passes.bc" if late else "optimised.bc"
        lines = [
            [
                "opt",
                f"-passes='{recipe.pipeline}'",
                *recipe.options,
                *opt_words,
                _DISCARD_NAMES,
                "original.bc",
                "-o",
                after_passes,
            ]
        ]
        if late:
            late_words = _quoted(_late_attribute_words(recipe))
            lines.append(
                ["opt", *late_words, _DISCARD_NAMES, after_passes, "-o", "optimised.bc"]
            )
        words = _without_overridden(recipe.options, llc_words)
        lines.append(
            ["llc", "-O2", "-filetype=obj", *words, "optimised.bc", "-o", "optimised.o"]
        )
        return [" ".join(line) for line in lines]

    def _opt_words(self) -> tuple[str, ...]:
        """Target words for `opt`, without processor and features.

        Each function carries its own processor and features, which `opt -mcpu` would rewrite. The
        module carries the triple, which `-mtriple` would rewrite. The relocation model stays:
        rel-lookup-table-converter depends on it.
        """
        return tuple(
            word
            for word in self.target.words
            if not word.startswith(("-mcpu=", "-mattr="))
        )

    def _llc_words(self) -> tuple[str, ...]:
        """Target words for `llc`, without processor and features when functions differ in them.

        `llc` adds its words to every function, so they are right only when all agree.
        """
        if self.module is not None and self._has_other_features(self.module):
            return self._opt_words()
        return self.target.words

    def _has_other_features(self, module: Path) -> bool:
        """Tell whether a function of `module` has features other than the target's."""
        key = (module, module.stat().st_mtime_ns)
        if key not in _function_features:
            _function_features[key] = frozenset(
                _FEATURES.findall(self.disassemble(module))
            )
        return bool(_function_features[key] - {self.target.features})

    def _call(self, program: str, *arguments: str, with_stderr: bool = False) -> str:
        try:
            path = self.installed.tool(program)
        except LlvmMissing as error:
            raise LlvmProgramFailed(f"the check cannot be made: {error}") from error
        try:
            done = subprocess.run(
                [str(path), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            message = f"{program} did not end within {self.timeout_s:g} s"
            raise LlvmProgramFailed(message) from error
        errors = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            errors = _without_paths(errors, str(path), arguments).strip()[:_DETAIL_CHARS]
            raise LlvmProgramFailed(f"{program} ended with {done.returncode}: {errors}")
        out = done.stdout.decode(errors="replace")
        return out + errors if with_stderr else out


def _in_ram(row: re.Match[str]) -> bool:
    """Tell whether a section of `llvm-readelf` is data or bss of a linked program."""
    if row["type"] == "NOBITS":
        return "T" not in row["flags"] and row["name"] != ".relro_padding"
    # Code and unwind tables count as read-only, as in `elf_image`.
    return (
        "W" in row["flags"]
        and "X" not in row["flags"]
        and not row["name"].startswith((".eh_frame", ".ARM.ex", ".gcc_except_table"))
    )


def discardable(text: str) -> frozenset[str]:
    """Symbols of textual IR that a compiler may drop when unused: `linkonce`, `linkonce_odr`."""
    names = (*_DISCARDABLE_FUNCTION.findall(text), *_DISCARDABLE_VALUE.findall(text))
    return frozenset(name.strip('"') for name in names)


def _without_paths(message: str, program: str, arguments: Sequence[str]) -> str:
    """Shorten absolute paths in a message to file names."""
    for argument in arguments:
        if argument.startswith("/"):
            message = message.replace(f"{program}: ", "")
            message = message.replace(argument, Path(argument).name)
    return message


def _without_overridden(options: Sequence[str], words: Sequence[str]) -> list[str]:
    """A recipe's options, then the target's words that the options do not set themselves."""
    names = {option.partition("=")[0] for option in options}
    return [*options, *(word for word in words if word.partition("=")[0] not in names)]


def _quoted(words: Sequence[str]) -> list[str]:
    return [shlex.quote(word) for word in words]


def _late_attribute_words(recipe: Recipe) -> list[str]:
    """Late attributes as arguments of `opt`."""
    option = {True: "-force-attribute", False: "-force-remove-attribute"}
    return [
        "-passes=forceattrs",
        *(
            f"{option[added]}={name}:{word}"
            for name, word, added in recipe.late_attributes
        ),
    ]
