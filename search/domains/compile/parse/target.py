"""Target of a compile job: what this LLVM serves, and what clang's driver decides for it."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from search.domains.compile.parse.sources import BuildOptions
from search.types import InvalidInput
from solvers.llvm.driver import Driver, decide
from solvers.llvm.frontend import SourceError
from solvers.llvm.install import find_llvm, serves, targets_here
from solvers.llvm.types import Target
from trimtab.specs.compile import CompileSpec, Language, Objective

FRONTEND_S = 120.0


def flavour_of(spec: CompileSpec) -> str:
    """Return the level whose attributes the sources get.

    That is the level the answer is compared with: -O2 for run time, -Oz for sizes.
    """
    return "O2" if spec.objective is Objective.RUN_TIME else "Oz"


def check_served(target: Target) -> None:
    """Refuse a target that the installed LLVM has no code generator for. Raises InvalidInput."""
    if not serves(find_llvm(target.triple), target.triple):
        raise InvalidInput(
            "target.triple: expected a target that this server has code for, got "
            f"{target.triple!r}; it has {', '.join(targets_here())}. Choose one of those, or "
            "install an LLVM with more targets (Debian: apt-get install llvm-22), or set "
            "TRIMTAB_LLVM to one"
        )


def decide_target(
    languages: Set[Language | None], build: BuildOptions, target: Target, folder: Path
) -> Driver:
    """Let clang's driver decide everything the job leaves open.

    A flag is accepted when the driver of one of the program's languages accepts it.
    Raises SourceError, or InvalidInput for flags that contradict the target.
    """
    only_ir = languages == {Language.IR}
    if only_ir:
        _check_flags_for_ir(build, target, folder)
    error: SourceError | None = None
    for cxx in (True, False):
        language = Language.CXX if cxx else Language.C
        if language not in languages and not (only_ir and not cxx):
            continue
        try:
            driver = decide(
                target, flags=build.flags, cxx=cxx, workdir=folder, timeout_s=FRONTEND_S
            )
        except SourceError as refused:
            error = refused
            continue
        if target.pic is not None and driver.target.pic != target.pic:
            raise InvalidInput(
                f"build.flags: expected flags that go with target.pic {str(target.pic).lower()}, "
                f"got {' '.join(build.flags)}; leave target.pic out, or the flag"
            )
        return driver
    assert error is not None
    raise error


def _check_flags_for_ir(build: BuildOptions, target: Target, folder: Path) -> None:
    """Refuse options that only act on sources. Raises InvalidInput."""
    if build.include:
        raise InvalidInput(
            "build.include: headers are for sources, and this program is LLVM IR; leave it out"
        )
    plain = decide(target, levels=("Oz",), workdir=folder)
    for flag in build.flags:
        if decide(target, flags=(flag,), levels=("Oz",), workdir=folder) == plain:
            raise InvalidInput(
                f"build.flags: {flag!r} acts where sources become IR, and this program is IR "
                "already; leave it out"
            )
