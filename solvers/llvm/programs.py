"""LLVM's own programs, as an owner would call them: what the check says must not come from the code that searched.

Each call is a process of its own on files; nothing of LLVM is loaded here.
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
from solvers.llvm.types import LlvmMissing, Recipe, Target

_DETAIL_CHARS = 2000
_NO_NAMES = (
    "-discard-value-names",
)  # as clang does for itself: equal programs are then equal files
_TRIPLE = re.compile(r'^target triple = "', re.MULTILINE)
_DISCARDABLE_FUNCTION = re.compile(
    r'^define [^@\n]*\blinkonce(?:_odr)?\b[^@\n]*@("[^"]+"|[\w$.\-]+)\(', re.MULTILINE
)
_DISCARDABLE_VALUE = re.compile(
    r'^@("[^"]+"|[\w$.\-]+) = [^@\n]*?\blinkonce(?:_odr)?\b', re.MULTILINE
)
_FEATURES = re.compile(r'"target-features"="([^"]*)"')
_INSTRUCTIONS = re.compile(r"^TotalInstructionCount: (\d+)", re.MULTILINE)
_SECTION = re.compile(
    r"^\s*\[\s*\d+\]\s+(?P<name>\S+)\s+(?P<type>\S+)\s+[0-9a-f]+\s+[0-9a-f]+\s+(?P<size>[0-9a-f]+)\s+[0-9a-f]+\s+(?P<flags>[WAXMSILOGTCxoERlp]*)\s"
)


class ToolFailed(Exception):
    """A program of LLVM refused, crashed or took too long. The message is its own."""


@dataclass(frozen=True, kw_only=True)
class ObjectSizes:
    """What `llvm-readelf` says of an object file. Bytes."""

    code_bytes: int
    loadable_bytes: int
    sections: Mapping[str, int]  # allocated ones that take room in the file


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The programs of one LLVM for one target."""

    installed: Installed
    target: Target  # with everything decided
    front_end: Target | None = None  # as clang's driver takes it
    flags: tuple[str, ...] = ()  # of the caller, for clang
    module: Path | None = None  # the unoptimised program
    timeout_s: float = 120.0

    def opt(
        self, pipeline: str, module: Path, out: Path, *, options: Sequence[str] = ()
    ) -> None:
        """`opt -passes=PIPELINE module -o out`. Raises ToolFailed."""
        words = (f"-passes={pipeline}", *options, *self._pass_words(), *_NO_NAMES)
        self._call("opt", *words, str(module), "-o", str(out))

    def again(self, recipe: Recipe, module: Path, out: Path) -> None:
        """What `commands` does up to the optimised module, for a recipe that `opt` has words for. Raises ToolFailed."""
        if not recipe.late_attributes:
            self.opt(recipe.pipeline, module, out, options=recipe.options)
            return
        passes = out.with_name(f"{out.stem}-passes.bc")
        self.opt(recipe.pipeline, module, passes, options=recipe.options)
        self._call("opt", *_late(recipe), *_NO_NAMES, str(passes), "-o", str(out))

    def emit(
        self, module: Path, out: Path, *, level: str = "2", options: Sequence[str] = ()
    ) -> None:
        """Object file by `llc`, which optimises no IR. Raises ToolFailed."""
        self._call(
            "llc",
            f"-O{level}",
            "-filetype=obj",
            *_once(options, self._target_words()),
            str(module),
            "-o",
            str(out),
        )

    def clang(self, module: Path, out: Path, *, level: str, bitcode: bool = False) -> None:
        """Object file, or bitcode, by clang itself: what its user compares with. Raises ToolFailed."""
        assert self.front_end is not None
        try:
            object_by_clang(
                module,
                out,
                asked=self.front_end,
                flags=self.flags,
                level=level,
                bitcode=bitcode,
                timeout_s=self.timeout_s,
            )
        except (SourceError, LlvmMissing) as error:
            raise ToolFailed(f"clang -{level}: {str(error)[:_DETAIL_CHARS]}") from error

    def assemble(self, text: Path, out: Path) -> None:
        """Textual IR to bitcode, verified; a module without a triple gets the target's. Raises ToolFailed."""
        words = (
            ()
            if _TRIPLE.search(text.read_text(errors="replace"))
            else (f"-mtriple={self.target.triple}",)
        )
        self._call("opt", "-passes=verify", *words, str(text), "-o", str(out))

    def check(self, module: Path) -> None:
        """LLVM's verifier on a file read anew. Raises ToolFailed with its words."""
        self._call("opt", "-passes=verify", "-disable-output", str(module))

    def text(self, module: Path) -> str:
        """Textual IR by `llvm-dis` (through `opt -S`, which also takes text)."""
        return self._call("opt", "-passes=verify", "-S", str(module), "-o", "-")

    def instructions(self, module: Path) -> int:
        """Instructions of all functions, as LLVM's own analysis counts them."""
        told = self._call(
            "opt",
            "-passes=print<func-properties>",
            "-disable-output",
            str(module),
            both=True,
        )
        return sum(int(count) for count in _INSTRUCTIONS.findall(told))

    def symbols(self, file: Path) -> frozenset[str]:
        """External symbols that a module or object defines, by `llvm-nm`."""
        told = self._call(
            "llvm-nm", "--extern-only", "--defined-only", "--format=just-symbols", str(file)
        )
        return frozenset(
            line.strip()
            for line in told.splitlines()
            if line.strip() and not line.endswith(":")
        )

    def sizes(self, file: Path) -> ObjectSizes:
        """Section sizes of an object, by `llvm-readelf`."""
        code = loadable = 0
        sections: dict[str, int] = {}
        for line in self._call("llvm-readelf", "-SW", str(file)).splitlines():
            row = _SECTION.match(line)
            if row is None or "A" not in row["flags"] or row["type"] == "NOBITS":
                continue
            size = int(row["size"], 16)
            loadable += size
            code += size if "X" in row["flags"] else 0
            sections[row["name"]] = sections.get(row["name"], 0) + size
        return ObjectSizes(code_bytes=code, loadable_bytes=loadable, sections=sections)

    def commands(self, recipe: Recipe) -> list[str]:
        """The lines that repeat a pipeline and make the object by hand."""
        target, passes = _quoted(self._target_words()), _quoted(self._pass_words())
        late = _late(recipe) if recipe.late_attributes and recipe.by_opt else []
        after = "passes.bc" if late else "optimised.bc"
        lines = [
            [
                "opt",
                f"-passes='{recipe.pipeline}'",
                *recipe.options,
                *passes,
                *_NO_NAMES,
                "original.bc",
                "-o",
                after,
            ],
            *(
                [["opt", *map(shlex.quote, late), *_NO_NAMES, after, "-o", "optimised.bc"]]
                if late
                else []
            ),
            [
                "llc",
                "-O2",
                "-filetype=obj",
                *_once(recipe.options, target),
                "optimised.bc",
                "-o",
                "optimised.o",
            ],
        ]
        return [" ".join(line) for line in lines]

    def _pass_words(self) -> tuple[str, ...]:
        """For `opt`, without processor and features: every function says its own, and `opt` would rewrite them."""
        # The triple is the module's own (a module that came without one was given it); -mtriple would rewrite it.
        # The relocation model decides more than code: rel-lookup-table-converter asks for it.
        return tuple(
            word for word in self.target.words if not word.startswith(("-mcpu=", "-mattr="))
        )

    def _target_words(self) -> tuple[str, ...]:
        """For `llc`; with processor and features only where all functions are for the same, as it adds them to each."""
        if self.module is not None and self._other_features(self.module):
            return self._pass_words()
        return self.target.words

    def _other_features(self, module: Path) -> bool:
        """Whether a function of the program is for other features than the target's."""
        if (cached := _OTHER.get((module, self.target.features))) is None:
            cached = bool(
                set(_FEATURES.findall(self.text(module))) - {self.target.features}
            )
            _OTHER[module, self.target.features] = cached
        return cached

    def _call(self, program: str, *arguments: str, both: bool = False) -> str:
        try:
            path = self.installed.tool(program)
        except LlvmMissing as error:
            raise ToolFailed(f"the check cannot be made: {error}") from error
        command: Sequence[str] = [str(path), *arguments]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolFailed(
                f"{program} did not end within {self.timeout_s:g} s"
            ) from error
        said = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            for name in arguments:
                said = (
                    said.replace(f"{path}: ", "").replace(name, Path(name).name)
                    if name.startswith("/")
                    else said
                )
            raise ToolFailed(
                f"{program} ended with {done.returncode}: {said.strip()[:_DETAIL_CHARS]}"
            )
        out = done.stdout.decode(errors="replace")
        return out + said if both else out


_OTHER: dict[tuple[Path, str], bool] = {}  # of programs in this process


def _once(options: Sequence[str], words: Sequence[str]) -> list[str]:
    """A recipe's options, and the target's words that it does not set otherwise."""
    own = {word.partition("=")[0] for word in options}
    return [*options, *(word for word in words if word.partition("=")[0] not in own)]


def _quoted(words: Sequence[str]) -> list[str]:
    return [shlex.quote(word) for word in words]


def _late(recipe: Recipe) -> list[str]:
    """Late attributes in the words of `opt`."""
    words = {True: "-force-attribute", False: "-force-remove-attribute"}
    return [
        "-passes=forceattrs",
        *(f"{words[added]}={name}:{word}" for name, word, added in recipe.late_attributes),
    ]


def discardable(text: str) -> frozenset[str]:
    """Symbols of textual IR that a compiler may drop when nothing in the module uses them: `linkonce` and `linkonce_odr`."""
    found = (*_DISCARDABLE_FUNCTION.findall(text), *_DISCARDABLE_VALUE.findall(text))
    return frozenset(name.strip('"') for name in found)
