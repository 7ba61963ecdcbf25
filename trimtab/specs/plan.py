"""Kind `plan`: a goal in words becomes a checked graph of jobs, then a report."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from trimtab.specs.common import ArtifactRef, ShortText, Spec, Text

MAX_GOAL_BYTES = 65_536
MAX_PLAN_FILES = 100


class Approval(StrEnum):
    """When the jobs of a plan start."""

    MANUAL = "manual"
    """Once the owner has approved the outline."""
    AUTO = "auto"
    """At once, if every word that matters was understood and no default had to be chosen."""


class PlanTextModel(StrEnum):
    """Language model that helps with outline and report."""

    AUTO = "auto"
    """The server's, if it has one."""
    NONE = "none"
    """None: templates alone."""


def _few_bytes(text: str) -> str:
    size = len(text.encode())
    if size > MAX_GOAL_BYTES:
        raise ValueError(
            f"expected at most {MAX_GOAL_BYTES:,} bytes of text, got {size:,}; "
            "attach long texts as files"
        )
    if not text.strip():
        raise ValueError("expected a goal in words, got blank text")
    return text


class PlanSpec(Spec):
    """A goal in words, with the files that it is about."""

    KIND: ClassVar[str] = "plan"
    SUMMARY: ClassVar[str] = (
        "A goal in words becomes a checked graph of jobs, then a report of measured results."
    )
    EXAMPLE: ClassVar[Mapping[str, Any]] = {
        "kind": "plan",
        "name": "Example: a goal in words",
        "spec": {"goal": "Design a patch antenna for 2.40 to 2.48 GHz in one minute."},
        "budget": {"seconds": 60.0},
    }
    OUTPUTS: ClassVar[tuple[str, ...]] = (
        "report.md",
        "report.html",
        "report.pdf",
        "ledger.json",
        "outline.json",
    )
    LIMITS: ClassVar[tuple[str, ...]] = ()

    goal: Annotated[Text, AfterValidator(_few_bytes)]
    """What is wanted, in English."""
    files: Annotated[dict[ShortText, ArtifactRef], Field(max_length=MAX_PLAN_FILES)] = (
        Field(default_factory=dict)
    )
    """Files that the goal is about, by the names that it uses."""
    approve: Approval = Approval.MANUAL
    """When the jobs start."""
    text_model: PlanTextModel = PlanTextModel.AUTO
    """Language model to ask for candidates and joining text, beside the templates."""

    @model_validator(mode="after")
    def _has_names(self) -> PlanSpec:
        for name in self.files:
            if not name.strip() or "/" in name or "\\" in name or name in (".", ".."):
                raise ValueError(
                    f"files: expected file names without folders, got {name!r}"
                )
        return self

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the files by their names."""
        return dict(self.files)
