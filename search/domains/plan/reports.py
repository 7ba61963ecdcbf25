"""A written report as data: sections, passages and sentences of text and slots.

    Report ─ sections ─ parts ─ passages ─ sentences ─ pieces: text without digits, or a fact's id

The text of a report is made from it alone; the check takes the same data apart again.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trimtab.specs.common import WireModel

Source = Literal["template", "joiner", "model"]
Passages = Literal[
    "summary",
    "asked",
    "outcome",
    "check",
    "limits",
    "comparison",
    "not_done",
    "questions",
    "method",
]
_READ = ConfigDict(extra="ignore")
FactId = Annotated[str, Field(pattern=r"^[a-z]{1,6}$")]


class Piece(WireModel):
    """Text, or a slot that a fact fills: exactly one is set."""

    model_config = _READ
    text: str = ""
    """Text without a digit."""
    fact: FactId | None = None
    """Fact whose value stands here."""
    bare: bool = False
    """The slot stands without its unit."""


class Sentence(WireModel):
    """One sentence and where it comes from."""

    model_config = _READ
    source: Source
    """A template with slots, a joiner of the templates, or the language model."""
    template: str = ""
    """Template, for the first two."""
    wording: int = 0
    """Wording of the template, counted from 0."""
    index: str = ""
    """Item of a list that the sentence is about."""
    pieces: tuple[Piece, ...]
    """Its parts in order."""
    holds: tuple[FactId, ...] = ()
    """Predicates that it states or rests on."""


class Curve(WireModel):
    """A line or a bar of a plot."""

    model_config = _READ
    name: str
    """Name in the legend."""
    points: tuple[tuple[float, float], ...] = ()
    """Points of a line, in the order of x."""
    value: float | None = None
    """Length of a bar."""


class Plot(WireModel):
    """A plot as values; it is drawn when the report is rendered."""

    model_config = _READ
    type: Literal["steps", "bars", "lines"]
    """A step curve over seconds, bars, or curves over hertz."""
    title: str
    """Title above the plot."""
    alt: str
    """Text for readers who do not see it."""
    y_label: str = ""
    """Quantity and unit."""
    until: float = 0.0
    """End of the axis of seconds."""
    limits: tuple[float, float] | None = None
    """Ends of the vertical axis."""
    curves: tuple[Curve, ...]
    """Lines or bars."""


class Passage(WireModel):
    """A leaf of the report's outline: some sentences on one thing."""

    model_config = _READ
    id: str
    """Id in the report."""
    about: Passages
    """What it tells."""
    leaf: str = ""
    """Leaf of the plan that it is about; empty for several."""
    evidence: tuple[FactId, ...] = ()
    """Facts that it must state."""
    sentences: tuple[Sentence, ...] = ()
    """Its text."""


class Part(WireModel):
    """A leaf of the plan, or a topic: some passages under one heading."""

    model_config = _READ
    id: str
    """Id in the report."""
    heading: tuple[Piece, ...]
    """Its heading."""
    passages: tuple[Passage, ...]
    """Its text."""
    plots: tuple[Plot, ...] = ()
    """Plots of the job."""
    job: str = ""
    """Job that it is about."""
    leaf: str = ""
    """Leaf of the plan."""


class Section(WireModel):
    """A goal, or a topic: some parts under one heading."""

    model_config = _READ
    id: str
    """Id in the report."""
    heading: tuple[Piece, ...]
    """Its heading."""
    parts: tuple[Part, ...]
    """What it consists of."""


class Entry(WireModel):
    """A fact of the ledger, as data."""

    model_config = _READ
    id: FactId
    """Id in the report's slots."""
    name: str
    """Name, e.g. `gap`, `what_if_cost.0`."""
    leaf: str
    """Leaf of the plan; empty for facts over several."""
    value: str | bool
    """The result's own decimal text, a word, or the truth of a statement."""
    unit: str
    """Unit; empty for none."""
    job: str | None
    """Job that measured it; None for derived facts."""
    fence: int | None
    """Attempt that counted."""
    pointer: str
    """JSON pointer into the job, or into the outline."""
    verified: Literal["verified", "measured, not verified", "derived", "stated"]
    """How far it is checked."""
    by: str
    """What checked it, in words."""
    shown: str
    """Its text in the report, rounded once."""
    rule: str
    """Rule of the rounding, in words."""
    op: str = ""
    """Operation of a derived fact."""
    of: tuple[FactId, ...] = ()
    """Facts that it was made of."""
    label: str = ""
    """The figure in words."""
    among: tuple[str, ...] = ()
    """Words for which a statement about a word is true."""


class Report(WireModel):
    """A report, with every fact that it states."""

    model_config = _READ
    format: Literal["trimtab-report/1"] = "trimtab-report/1"
    """Name and version of this format."""
    title: str
    """Title, without a digit."""
    seed: int
    """Seed of the choice of wordings."""
    sections: tuple[Section, ...]
    """The text."""
    facts: tuple[Entry, ...]
    """The ledger."""
    without_result: Annotated[float, Field(ge=0)]
    """Leaves of the plan whose newest version has no result."""
    site: str = ""
    """Address of the server, which links begin with; empty where it was not known."""
    text_model: str = ""
    """Language model that wrote joining sentences; empty for none."""
    sends_text: bool = False
    """True when that model runs elsewhere."""
    drafted: int = 0
    """Joining sentences that were asked of the model."""
    kept: int = 0
    """Of these, the ones that passed the filters and stand in the report."""
