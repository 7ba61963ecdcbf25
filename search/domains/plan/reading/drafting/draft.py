"""Jobs to be, with their values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from search.domains.plan.reading.jobs.leaf import Doubt

MEMORY = "spec.devices.0.memory_gib"
PER_NODE = "spec.fabric.devices_per_node"
NODES = "_nodes"
WHAT_IF = "spec.what_if"
SECONDS = "budget.seconds"
ENGINE = "spec.engine"
BATCH = "spec.global_batch"
MAX_VARIANTS = 60


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value of one job."""

    value: Any
    tokens: tuple[int, ...]
    note: str = ""


@dataclass
class Draft:
    """A job to be, with its values."""

    leaf: int
    kind: str
    files: dict[str, str]
    settings: dict[str, Setting] = field(default_factory=dict)
    # `path=value` → tokens
    removed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    mentions: list[int] = field(default_factory=list)
    outputs: dict[str, tuple[int, str]] = field(default_factory=dict)
    group: int = 0
    base: int | None = None  # number of the leaf that this one repeats
    takes: str = ""  # output of that one that is its main file


@dataclass
class Drafts:
    """Jobs of a goal, and doubts about their values."""

    jobs: list[Draft] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
