"""Kind `ilp`: a mixed-integer linear program as an .mps or .lp file."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from trimtab.specs.common import ArtifactRef, Spec, WireModel, _storable

MAX_INLINE_MODEL_CHARS = 1_000_000


class Engine(StrEnum):
    """Complete solver that works on the whole problem and proves the bound."""

    HIGHS = "highs"
    SCIP = "scip"
    CP_SAT = "cp-sat"


class Neighbourhood(StrEnum):
    """Destroy heuristics of the large neighbourhood search."""

    RANDOM = "random"
    LB_RELAX = "lb-relax"


class LnsOptions(WireModel):
    """Large neighbourhood search beside the complete solver."""

    enabled: bool = True
    neighbourhoods: Annotated[tuple[Neighbourhood, ...], Field(min_length=1, max_length=8, strict=False)] = (
        Neighbourhood.RANDOM,
        Neighbourhood.LB_RELAX,
    )
    sub_mip_seconds: Annotated[float, Field(gt=0, le=600)] = 3.0
    """Time limit of one sub-MIP, seconds."""


class IlpSpec(Spec):
    """A mixed-integer linear program. Give `model` (an uploaded file) or `model_text` (a small model inline)."""

    KIND: ClassVar[str] = "ilp"
    SUMMARY: ClassVar[str] = (
        "Mixed-integer linear program (.mps, .lp, .gz): ever better incumbents under a proved bound."
    )

    model: ArtifactRef | None = None
    """Uploaded .mps or .lp file, plain or .gz."""
    model_text: Annotated[str, Field(max_length=MAX_INLINE_MODEL_CHARS), AfterValidator(_storable)] | None = None
    """The model itself, for small ones: at most 1,000,000 characters."""
    format: Literal["auto", "mps", "lp"] = "auto"
    """`auto` tells it from the file name, then from the content."""
    engine: Engine = Engine.HIGHS
    lns: LnsOptions = Field(default_factory=LnsOptions)

    @model_validator(mode="after")
    def _one_model(self) -> IlpSpec:
        if (self.model is None) == (self.model_text is None):
            came = "both" if self.model is not None else "neither"
            raise ValueError(f"wants exactly one of `model` and `model_text`; {came} came")
        return self

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> IlpSpec:
        """A spec of a file on this machine; the client uploads it on submit (unless the server has its content)."""
        from trimtab.files import LocalFile  # the server's side of this model has no use for it

        return cls(model=LocalFile.of(path), **options)

    def artifacts(self) -> dict[str, ArtifactRef]:
        """The model file, when it was uploaded."""
        return {} if self.model is None else {"model": self.model}
