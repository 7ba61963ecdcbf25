"""The outline of a plan: a tree of goals, stages and jobs, as data that its owner may edit.

    goals.g1 ─┬─ stages.s1 ─┬─ leaves.l1   one job
              │             └─ leaves.l2
              └─ stages.s2 ─── leaves.l3   edges: l3 after l1

Parts are maps keyed by id, so that a patch of one part does not shift the others. Reference: DOC
(arXiv 2212.10077); its tree of depth 3, made breadth first.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from trimtab.specs.common import (
    MAX_LABELS,
    MODEL_AUTO,
    MODEL_ID_PATTERN,
    Digest,
    DisplayName,
    LabelKey,
    Needs,
    ShortText,
    Text,
    Webhook,
    WireModel,
)

# Outlines are read back by older clients: they ignore fields they do not know.
_READ = ConfigDict(extra="ignore")
NodeId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,31}$")]
AnswerText = Annotated[Text, Field(min_length=1, max_length=2000)]
MAX_LEAVES = 100
MAX_REPAIRS = 2
LEAF_FILE = (
    "leaf"  # key of a file reference in a leaf's spec: {"leaf": "l1", "output": "x.sol"}
)


class Span(WireModel):
    """A part of the goal, in characters: `goal[start:end]`."""

    model_config = _READ
    start: Annotated[int, Field(ge=0)]
    """Index of the first character."""
    end: Annotated[int, Field(ge=0)]
    """Index after the last character."""


class Rival(WireModel):
    """A candidate that did not become a leaf."""

    model_config = _READ
    source: Literal["template", "model"]
    """Who proposed it: a template, or the language model."""
    id: str
    """Template, or number of the model's candidate."""
    removed_by: str
    """Filter or comparison that removed it, in words."""


class Origin(WireModel):
    """Origin of a leaf."""

    model_config = _READ
    source: Literal["template", "model", "owner", "repair"]
    """A template, the language model, an edit, or the repair of another leaf."""
    id: str = ""
    """Template, number of the model's candidate, or the repaired leaf."""
    rivals: tuple[Rival, ...] = ()
    """Candidates that it won against."""


class Seconds(WireModel):
    """Expected wall-clock seconds."""

    model_config = _READ
    p50: Annotated[float, Field(ge=0)]
    """Half of such runs end earlier."""
    p90: Annotated[float, Field(ge=0)]
    """Nine of ten such runs end earlier."""
    basis: str = ""
    """What the estimate rests on, in words."""


class Repair(WireModel):
    """Repair to try when a leaf ends with one of these reasons."""

    model_config = _READ
    on: tuple[str, ...]
    """Reasons of termination, or `post` for an unmet condition."""
    set: dict[str, JsonValue]
    """Values by dotted path in the request, e.g. `spec.engine`; `"x3"` multiplies a number."""
    words: str
    """What it does, in words."""


class Leaf(WireModel):
    """One job of the plan."""

    model_config = _READ
    title: str
    """What it does, in words."""
    stage: NodeId
    """Stage that it belongs to."""
    kind: str
    """Kind of the job."""
    spec: dict[str, Any]
    """Spec of the job. A file is `{"digest": …}`, or `{"leaf": "l1", "output": "solution.sol"}`."""
    budget: dict[str, JsonValue] = Field(default_factory=dict)
    """Limits of the run."""
    seed: int = 0
    """Seed of the run."""
    priority: int = 0
    """Priority of the job."""
    name: DisplayName = ""
    """Name of the job for people, as the goal has it."""
    labels: Annotated[dict[LabelKey, ShortText], Field(max_length=MAX_LABELS - 2)] = (
        Field(default_factory=dict)
    )
    """Labels of the job; the plan adds its own two, `plan` and `leaf`."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] | None = None
    """Limit of attempts; None: that of the plan."""
    webhook: Webhook | None = None
    """Address to call when the job has ended; one that stands in the goal."""
    model: Annotated[str, Field(pattern=rf"^(auto|shipped|{MODEL_ID_PATTERN})$")] = (
        MODEL_AUTO
    )
    """Fitted model to use, as in a job's request."""
    enabled: bool = True
    """False: dropped by the owner; it does not run, and neither does what needs it."""
    spans: dict[str, tuple[Span, ...]] = Field(default_factory=dict)
    """Words of the goal that a value comes from, by dotted path; `kind` for the leaf itself."""
    defaults: dict[str, str] = Field(default_factory=dict)
    """Choices that the goal leaves open, by dotted path, in words."""
    answered: dict[str, str] = Field(default_factory=dict)
    """The owner's answers that values come from, by dotted path."""
    post: tuple[str, ...] = ()
    """Conditions on the result; one that fails is repaired."""
    repair: tuple[Repair, ...] = ()
    """What to try in turn, at most twice, when the leaf fails."""
    seconds: Seconds
    """Expected duration."""
    origin: Origin
    """Where the leaf comes from."""

    @property
    def request(self) -> dict[str, Any]:
        """Parts of the job's request that the plan decides; dotted paths lead into them."""
        return {
            "spec": self.spec,
            "budget": self.budget,
            "seed": self.seed,
            "priority": self.priority,
            "name": self.name,
            "labels": self.labels,
            "max_attempts": self.max_attempts,
            "webhook": None if self.webhook is None else {"url": self.webhook.url},
            "model": self.model,
        }


class Stage(WireModel):
    """A step towards a goal."""

    model_config = _READ
    title: str
    """What it does, in words."""
    goal: NodeId
    """Goal that it belongs to."""


class Goal(WireModel):
    """One thing that was asked for."""

    model_config = _READ
    title: str
    """The goal, in words."""
    spans: tuple[Span, ...] = ()
    """Words of the goal's text that it comes from."""


class LeafEdge(WireModel):
    """`child` waits for `parent`."""

    model_config = _READ
    parent: NodeId
    """Leaf that comes first."""
    child: NodeId
    """Leaf that waits."""
    needs: Needs = Needs.DONE
    """What is needed of the first."""


class Question(WireModel):
    """A closed question to the owner."""

    model_config = _READ
    text: str
    """The question."""
    about: str
    """What is asked for, e.g. `devices.count`, `file`, `kind`."""
    options: Annotated[tuple[str, ...], Field(max_length=5)]
    """Answers to choose from, the likeliest first; any other text may be given too."""
    spans: tuple[Span, ...] = ()
    """Words of the goal that raise it."""


class NotDone(WireModel):
    """A part of the goal that no job will do."""

    model_config = _READ
    text: str
    """The words of the goal, or what they ask for."""
    reason: str
    """Why not, and what to do instead."""
    spans: tuple[Span, ...] = ()
    """Words of the goal."""


class Outline(WireModel):
    """A plan before it runs: what its owner reads, edits and approves."""

    model_config = _READ
    schema_version: Literal[1] = 1
    """Version of the outline."""
    goal: str
    """The goal, as given."""
    goals: dict[NodeId, Goal] = Field(default_factory=dict)
    """Depth 1: things that were asked for."""
    stages: dict[NodeId, Stage] = Field(default_factory=dict)
    """Depth 2: steps."""
    leaves: dict[NodeId, Leaf] = Field(default_factory=dict)
    """Depth 3: jobs."""
    edges: dict[NodeId, LeafEdge] = Field(default_factory=dict)
    """Which leaf waits for which, beside those that read another's file."""
    questions: dict[NodeId, Question] = Field(default_factory=dict)
    """What must be known before the plan can run; answered ones stay, with their answers."""
    answers: dict[NodeId, str] = Field(default_factory=dict)
    """The owner's answers, by question."""
    not_done: tuple[NotDone, ...] = ()
    """Parts of the goal that no job will do."""
    not_understood: tuple[Span, ...] = ()
    """Words of the goal that nothing accounts for."""
    notes: tuple[str, ...] = ()
    """What else its owner should know."""
    understood: str = ""
    """The plan read back in words."""
    seconds: Seconds | None = None
    """Expected duration of the whole on this server."""
    reader: str = ""
    """Who read the goal, in words: rules, the learned reader, or both; empty for rules alone."""
    text_model: str = ""
    """Language model that proposed candidates; empty for none."""
    sends_text: bool = False
    """True when that model runs elsewhere: the goal's parsed fields were sent to it."""


class OutlineView(WireModel):
    """An outline as stored, with what an edit or an approval must name."""

    model_config = _READ
    job_id: str
    """Id of the plan."""
    revision: Annotated[int, Field(ge=1)]
    """Number of the version, from 1."""
    digest: str
    """`sha256:` and 64 hex digits of this version; an approval names it."""
    outline: Outline
    """The outline."""
    jobs: dict[str, str] = Field(default_factory=dict)
    """Jobs of leaves that have been submitted, by leaf."""


class PatchOperation(WireModel):
    """One operation of a JSON Patch (RFC 6902) of an outline."""

    op: Literal["add", "remove", "replace", "test"]
    """What to do."""
    path: Annotated[str, Field(max_length=1000)]
    """JSON pointer of the place, e.g. `/leaves/l1/budget/seconds`."""
    value: JsonValue = None
    """Value, with `add`, `replace` and `test`."""


class QuestionAnswers(WireModel):
    """Answers to the questions of a plan that NEEDS_INPUT."""

    revision: Annotated[int, Field(ge=1)]
    """Revision of the outline that was read."""
    answers: Annotated[dict[NodeId, AnswerText], Field(min_length=1, max_length=100)]
    """Answers by question: one of its options, or other text."""


class OutlineApproval(WireModel):
    """Approval of an outline, exactly as it was seen."""

    revision: Annotated[int, Field(ge=1)]
    """Revision of the outline that was read."""
    digest: Digest
    """Its digest."""
