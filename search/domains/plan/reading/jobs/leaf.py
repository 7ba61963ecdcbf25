"""Jobs before their values, and doubts about them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Leaf:
    """A job to be, before its values are known."""

    kind: str
    files: dict[str, str] = field(default_factory=dict)  # field of the spec → file
    mentions: list[int] = field(default_factory=list)  # tokens
    named: bool = True  # False: taken because it is the only attached file that fits
    base: int | None = None  # the job that this one repeats
    takes: str = ""  # output of that job that is the main file of this one


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A question to be: what is asked, with the likeliest answers first."""

    about: str
    text: str
    options: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    rank: int = 5  # lower is asked first


@dataclass
class Found:
    """Jobs of a goal, and what is unclear about them."""

    leaves: list[Leaf] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # files that the goal excludes
    unusable: dict[str, list[int]] = field(default_factory=dict)  # file → mentions
