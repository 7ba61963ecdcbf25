"""Kind `learn`: fit the models of another kind to a user's own instances."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from trimtab.specs.common import ArtifactRef, FileInput, Spec, WireModel
from trimtab.specs.compile import Define, InsidePath
from trimtab.specs.sharding import Hardware

MOST_FILES = 500
CARD_FILE, MODEL_FILE, PICTURE_FILE = "card.json", "model.safetensors", "card.svg"


class Target(StrEnum):
    """Kind of job that a model is for."""

    ILP = "ilp"
    """A CL-LNS policy for a family of models."""
    COMPILE = "compile"
    """A coreset of pass pipelines, and a ranker, mined on a code base."""
    SHARDING = "sharding"
    """Cost models fitted to measurements of a device."""
    ANTENNA = "antenna"
    """A surrogate fitted to a board."""


class ShardingLearnOptions(WireModel):
    """Options of target `sharding`."""

    hardware: Annotated[Hardware, Field(strict=False)] = Hardware.A100
    """Profile that jobs name for these devices. Jobs with devices of this profile may use the
    model, and the shipped model is judged with it."""
    steps: Annotated[int, Field(ge=10, le=20_000)] = 2_500
    """Steps of the fine-tuning, at most."""


class SizeObjective(StrEnum):
    """Size that mined pipelines minimise."""

    LOADABLE_BYTES = "loadable_bytes"
    """Bytes that occupy memory or flash."""
    CODE_BYTES = "code_bytes"
    """Bytes of executable sections alone."""
    IR_INSTRUCTIONS = "ir_instructions"
    """Number of LLVM instructions."""


class CompileLearnOptions(WireModel):
    """Options of target `compile`."""

    objective: Annotated[SizeObjective, Field(strict=False)] = (
        SizeObjective.LOADABLE_BYTES
    )
    """Size to minimise. Jobs with the same objective may use the model."""
    evaluations: Annotated[int, Field(ge=30, le=2_000)] = 100
    """Compilations for each module that the pipelines are mined on."""
    pipelines: Annotated[int, Field(ge=1, le=24)] = 12
    """Pipelines of the coreset, at most."""
    include: Annotated[tuple[InsidePath, ...], Field(max_length=50, strict=False)] = ()
    """Folders of the archive with headers."""
    defines: Annotated[tuple[Define, ...], Field(max_length=100, strict=False)] = ()
    """Macros, NAME or NAME=VALUE."""


class AntennaLearnOptions(WireModel):
    """Options of target `antenna`."""

    designs: Annotated[int, Field(ge=60, le=20_000)] = 800
    """Designs that are drawn and solved, those held out among them."""
    epochs: Annotated[int, Field(ge=1, le=200)] = 20
    """Passes over the designs, at most."""


class LearnSpec(Spec):
    """Fit the models of a kind to your own instances. The job holds some of them out, and a card
    decides by them whether later jobs may use the model."""

    KIND: ClassVar[str] = "learn"
    BASIC: ClassVar[tuple[str, ...]] = (
        "target",
        "instances",
        "archive",
        "measured",
    )
    OUTPUTS: ClassVar[tuple[str, ...]] = (MODEL_FILE, CARD_FILE, PICTURE_FILE)
    LIMITS: ClassVar[tuple[str, ...]] = ()
    FILES: ClassVar[FileInput | None] = FileInput(field="archive", suffixes=())
    SUMMARY: ClassVar[str] = (
        "Fits a kind's models to your own instances; a card decides whether jobs use them."
    )

    target: Annotated[Target, Field(strict=False)]
    """Kind of job that the model is for: ilp, compile, sharding or antenna."""
    instances: Annotated[
        tuple[ArtifactRef, ...], Field(max_length=MOST_FILES, strict=False)
    ] = ()
    """Uploaded files, one instance each; for sharding the collector's files."""
    archive: ArtifactRef | None = None
    """Uploaded .zip, .tar or .tar.gz with the instances, instead of `instances`; a file of another
    name is one instance."""
    measured: ArtifactRef | None = None
    """Uploaded .csv of measured labels with columns instance and value, where the target takes
    them; the collector's files hold theirs."""
    held_out: Annotated[float, Field(ge=0.1, le=0.5)] = 0.25
    """Share of the instances that the model is judged by and not fitted to."""
    sharding: ShardingLearnOptions | None = None
    """Options of target sharding."""
    compile: CompileLearnOptions | None = None
    """Options of target compile."""
    antenna: AntennaLearnOptions | None = None
    """Options of target antenna."""

    @model_validator(mode="after")
    def _makes_sense(self) -> LearnSpec:
        if bool(self.instances) == (self.archive is not None):
            got = "both" if self.instances else "neither"
            raise ValueError(
                f"expected exactly one of `instances` and `archive`, got {got}; upload the files "
                "and name their digests, or pack them into one archive"
            )
        for target in Target:
            if target is self.target or getattr(self, target.value, None) is None:
                continue
            raise ValueError(
                f"{target.value}: expected no options of another target than "
                f"{self.target.value}, got some; drop them"
            )
        digests = [reference.digest for reference in self.instances]
        if len(set(digests)) != len(digests):
            raise ValueError(
                f"instances: expected every file once, got {len(digests) - len(set(digests))} "
                "again; drop the repetitions"
            )
        return self

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the uploaded files: `instances.N`, `archive`, `measured`."""
        files = {f"instances.{n}": file for n, file in enumerate(self.instances)}
        for name in ("archive", "measured"):
            if (reference := getattr(self, name)) is not None:
                files[name] = reference
        return files

    def options(self) -> Any:
        """Return the options of the target; its defaults when none are given."""
        stated = getattr(self, self.target.value, None)
        default = OPTIONS.get(self.target)
        return default() if stated is None and default is not None else stated

    @classmethod
    def unit_of(cls, spec: Mapping[str, Any]) -> str:
        """Return the unit of the target's metric, as its card has it."""
        return _UNITS.get(spec.get("target", ""), "")


_UNITS: Mapping[str, str] = {
    Target.COMPILE: "%",
    Target.SHARDING: "%",
    Target.ANTENNA: "dB",
}

OPTIONS: Mapping[Target, type[WireModel]] = {
    Target.SHARDING: ShardingLearnOptions,
    Target.COMPILE: CompileLearnOptions,
    Target.ANTENNA: AntennaLearnOptions,
}
"""Options of the targets that have some; each is also a field of `LearnSpec` of that name."""
