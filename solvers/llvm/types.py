"""Data of the LLVM engine: targets, recipes, sizes, results.

No numpy and no LLVM are imported, so that the engine's server starts in milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Metric(StrEnum):
    """Size that a search minimises."""

    # Sections in memory or flash: SHF_ALLOC, not NOBITS.
    LOADABLE_BYTES = "loadable_bytes"
    CODE_BYTES = "code_bytes"  # sections with SHF_EXECINSTR
    IR_INSTRUCTIONS = "ir_instructions"  # all instructions of all functions
    # Of a linked program: weighted sum of flash and RAM, and what exceeds a region.
    IMAGE_BYTES = "image_bytes"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Target of code generation. Sizes of objects compare only under the same target.

    The front-end takes the caller's: an empty `cpu` and `pic` None leave the choice to clang's
    driver. The engine takes one with everything decided, as `driver.decide` returns it.
    """

    triple: str = "x86_64-unknown-linux-gnu"
    cpu: str = ""  # as -mcpu takes it; empty: the triple's own
    features: str = ""  # LLVM's notation, e.g. "+avx2,-sse4.2"
    pic: bool | None = True  # relocation model PIC; False: static
    # Further options of the code generator, as `llc` takes them: "-float-abi=hard".
    codegen: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Options of `opt` and `llc` that select this target, without its triple."""
        model = "static" if self.pic is False else "pic"
        words = [f"-relocation-model={model}"]
        words += [f"-mcpu={self.cpu}"] if self.cpu else []
        words += [f"-mattr={self.features}"] if self.features else []
        return (*words, *self.codegen)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Recipe of an optimised module: enough to repeat it with the same LLVM.

    Order: `attributes` are set on the input's functions, `pipeline` runs on the module, each
    function of `function_tails` runs its own function pipeline, `late_attributes` are set, and code
    is generated, for the functions of `function_options` by their own options. `options` hold
    throughout.
    """

    pipeline: str  # as `opt -passes=` takes it
    function_tails: tuple[tuple[str, str], ...] = ()  # (function, function pipeline)
    # (function, attribute, added or removed); `no-builtin-NAME` is for all functions, "*"
    attributes: tuple[tuple[str, str, bool], ...] = ()
    # The same for functions that remain after the pipeline; for the code generator alone.
    late_attributes: tuple[tuple[str, str, bool], ...] = ()
    # LLVM's own options (cl::opt), as opt and llc take them, and clang after -mllvm.
    options: tuple[str, ...] = ()
    # (function, options of the code generator that it has in place of those of `options`)
    function_options: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def as_json(self) -> dict[str, object]:
        """JSON form; `from_json` reads it."""
        own = [[name, list(words)] for name, words in self.function_options]
        return {
            "pipeline": self.pipeline,
            "function_tails": [list(pair) for pair in self.function_tails],
            "attributes": [list(row) for row in self.attributes],
            "late_attributes": [list(row) for row in self.late_attributes],
            "options": list(self.options),
            # Left out where there are none: digests of earlier recipes stay.
            **({"function_options": own} if own else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Recipe:
        """Read the form of `as_json`. Raises KeyError, TypeError or ValueError on other shapes."""
        lists: dict[str, Sequence[Any]] = {}
        for name in (
            "function_tails",
            "attributes",
            "late_attributes",
            "options",
            "function_options",
        ):
            value = data.get(name, ())
            if not isinstance(value, (list, tuple)):
                raise TypeError(
                    f"recipe.{name}: expected a list, got {type(value).__name__}"
                )
            lists[name] = value
        return cls(
            pipeline=str(data["pipeline"]),
            function_tails=tuple(
                (str(name), str(tail)) for name, tail in lists["function_tails"]
            ),
            attributes=tuple(
                (str(name), str(word), bool(added))
                for name, word, added in lists["attributes"]
            ),
            late_attributes=tuple(
                (str(name), str(word), bool(added))
                for name, word, added in lists["late_attributes"]
            ),
            options=tuple(map(str, lists["options"])),
            function_options=tuple(
                (str(name), tuple(map(str, words)))
                for name, words in lists["function_options"]
            ),
        )

    @property
    def by_opt(self) -> bool:
        """True when `opt` can run all of it.

        It has no option for a function's own pipeline, for attributes set before a pipeline, and
        for those with a value; and `llc` none for a function's own code generation.
        """
        names = "".join(name for name, *_ in self.late_attributes)
        return (
            not self.function_tails
            and not self.function_options
            and not self.attributes
            and not any("=" in word for _, word, _ in self.late_attributes)
            and "," not in names
            and ":" not in names
        )

    @property
    def digest(self) -> str:
        """sha256 of the JSON form, hex."""
        return hashlib.sha256(
            json.dumps(self.as_json(), sort_keys=True).encode()
        ).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of an optimised module and its object, in bytes; 0 where no object was emitted."""

    ir_instructions: int
    code_bytes: int = 0
    loadable_bytes: int = 0
    # Allocated sections by name.
    sections: Mapping[str, int] = field(default_factory=dict)
    # Bytes of each defined function symbol.
    functions: Mapping[str, int] = field(default_factory=dict)
    # Bytes of each function's entry in .eh_frame, where it has one.
    unwind: Mapping[str, int] = field(default_factory=dict)
    # Linked programs only; code and loadable bytes and sections are then the program's, too.
    ram_bytes: int = 0  # writable memory
    image_bytes: int = 0  # Metric.IMAGE_BYTES
    beyond_bytes: int = 0  # more than the linker script's regions hold

    def of(self, metric: Metric) -> int:
        """Return the size that `metric` names."""
        return int(getattr(self, metric.value))

    def of_functions(self, metric: Metric) -> dict[str, int]:
        """Return each defined function's share of a metric in bytes."""
        if metric is Metric.CODE_BYTES:
            return dict(self.functions)
        return {
            name: size + self.unwind.get(name, 0) for name, size in self.functions.items()
        }


class Outcome(StrEnum):
    """Outcome of one candidate."""

    OK = "ok"
    # LLVM does not know the pipeline, or its verifier refuses the result.
    REFUSED = "refused"
    # Assertion, fatal error or signal in a pass or the code generator.
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    MEMORY = "memory"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Result of one candidate. `sizes` is set exactly when `outcome` is OK."""

    recipe: Recipe
    outcome: Outcome
    seconds: float
    sizes: Sizes | None = None
    ir_sha256: str = ""  # of the optimised bitcode
    detail: str = ""  # LLVM's message, at most 2,000 characters

    @property
    def program(self) -> str:
        """Key that is equal for equal machine code: digest of the bitcode, and options."""
        own = (word for row in self.recipe.function_options for word in (row[0], *row[1]))
        return " ".join((self.ir_sha256, *self.recipe.options, *own))


@dataclass(frozen=True, kw_only=True)
class EngineLimits:
    """Limits of one candidate."""

    candidate_s: float = 20.0  # of the processor; on a busy machine it takes longer
    memory_bytes: int = 4 * 2**30
    module_bytes: int = 64 * 2**20  # of bitcode
    instructions: int = 2_000_000


class LlvmMissing(Exception):
    """No usable LLVM or C compiler. The message names the places searched and what to install."""


class BadModule(Exception):
    """The IR cannot be read, is refused by LLVM's verifier, or is beyond a limit."""


class EngineDied(Exception):
    """The engine's process died (killed, out of memory) and could not be started again."""
