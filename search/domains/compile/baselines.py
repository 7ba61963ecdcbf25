"""Measured builds of a linked program, in the search's form of sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search.domains.compile.builds import Build
from search.domains.compile.parse.image import ImageProblem
from solvers.llvm.elf import BadObject
from solvers.llvm.elf_image import image_sizes
from solvers.llvm.frontend import SourceError
from solvers.llvm.link_order import overflow
from solvers.llvm.types import Metric, Sizes

BEYOND_WEIGHT = 100  # of a byte that no region holds, against one of flash


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A user's build with its sizes."""

    build: Build
    sizes: Sizes

    def of(self, metric: Metric) -> int:
        """Return the size that `metric` names."""
        return self.sizes.of(metric)


def measured(image: ImageProblem, build: Build) -> Baseline:
    """Measure a build. Raises SourceError."""
    return Baseline(build=build, sizes=sizes_of(image, build.file, build.overflow))


def sizes_of(image: ImageProblem, file: Path, message: str = "") -> Sizes:
    """Measure a linked program; `message` is the linker's where it does not fit.

    Raises SourceError.
    """
    try:
        read = image_sizes(file.read_bytes())
    except BadObject as error:
        raise SourceError(f"{file.name} is no program", str(error)) from error
    beyond = overflow(message)
    weighted = image.flash_weight * read.flash + image.ram_weight * read.ram
    return Sizes(
        ir_instructions=0,
        code_bytes=read.parts["code"],
        loadable_bytes=read.flash,
        sections=read.sections,
        ram_bytes=read.ram,
        image_bytes=round(weighted + BEYOND_WEIGHT * beyond),
        beyond_bytes=beyond,
    )
