"""Contract between the kind `learn` and its uses: `Learner`.

    sources ──prepare──▶ instances ──split──▶ fit ──▶ model file ──▶ evaluate, paired ──▶ card

A learner knows one target (`ilp`, `compile`, `sharding`, `antenna`): what an instance is, how a
model is fitted, and how good the shipped and the fitted model are on one instance. The kind does
the rest: it unpacks files, splits instances, keeps state across attempts, and decides by the card.
Learners live in `workers/learn`, because training does; `workers.learn.table` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from search.model_files import FittedModel
from trimtab.cards import Metric


class NothingFitted(Exception):
    """The run ended before there was a model to judge; the message has cause and remedy."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An uploaded file, or a member of the uploaded archive."""

    name: str  # as its owner named it, for messages; never a path to open
    path: Path  # plain file in the run folder


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance of the user's: what is split, fitted and judged as a whole."""

    key: str  # sha256 of the content without the label: equal instances have equal keys
    name: str  # in the card and in messages
    data: Any = None  # the learner's own
    label: float | None = (
        None  # measured, where the use has one; contradictions are refused
    )


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point of a learning curve."""

    step: int  # counted from 1
    steps: int  # planned in all
    loss: float  # on the fit instances
    validation: float | None = None  # on a part of them that the step did not see
    stage: str = "fit"  # e.g. collect, pretrain, fit


class FitRun(Protocol):
    """Access of `Learner.fit` to its run."""

    @property
    def seed(self) -> int:
        """Seed of every random choice."""
        ...

    @property
    def folder(self) -> Path:
        """Folder of state. `save` keeps all its files; the next attempt finds them again."""
        ...

    @property
    def workdir(self) -> Path:
        """Folder of the attempt, for what need not survive it."""
        ...

    def stop(self) -> bool:
        """Return True when fitting must end now: return the best so far."""
        ...

    def remaining_s(self) -> float:
        """Return the seconds left for fitting; the time of the evaluation is set aside."""
        ...

    def report(self, point: Point) -> None:
        """Report a point of the learning curve. Cheap; at most ten a second are passed on."""
        ...

    def save(self) -> None:
        """Checkpoint `folder` when its files are consistent; at most 24 MiB in all."""
        ...


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted model."""

    path: Path  # written by `search.model_files.write_model`
    notes: tuple[str, ...] = ()  # sentences for the card
    pretrained: bool = False
    alarms: tuple[str, ...] = ()  # collapse alarms of pre-training, as sentences
    figures: Mapping[str, Any] = field(default_factory=dict)  # JSON, for the card


class Learner(Protocol):
    """One use of the kind `learn`."""

    target: str
    """Kind of job that the model is for."""
    metric: Metric
    """Measured for every held-out instance, with the shipped and with the fitted model."""
    least_instances: int
    """Instances below which no card can be computed (fit and held out together)."""
    most_sources: int | None
    """Files that an archive may hold; None: `prepare` counts them itself."""
    judge_share: float
    """Share of the budget that is set aside for the evaluation, 0 to 1."""
    packages: tuple[str, ...]
    """Packages whose versions belong into the card, e.g. torch."""
    labels_from: str
    """Reason why uploaded labels (`measured`) are refused, as a clause after "because"."""

    def prepare(
        self,
        sources: Sequence[Source],
        options: Any,
        workdir: Path,
    ) -> list[Instance]:
        """Read every instance. Raises InvalidInput: mixed kinds, contradictory labels, bad files.

        options: the part of the spec for this target, e.g. `LearnSpec.sharding`.
        """
        ...

    def fit(self, instances: Sequence[Instance], run: FitRun, options: Any) -> Fitted:
        """Fit a model; equal seed and instances give equal weights. Never sees held-out ones.

        Raises InvalidInput for instances that nothing can be learned from, and NothingFitted when
        the run ended too early for a model.
        """
        ...

    def evaluate(
        self, instance: Instance, model: FittedModel | None, *, seed: int, limit_s: float
    ) -> float:
        """Return the metric on a held-out instance, with a model or (None) with the shipped one.

        limit_s: this call's share of the budget; runs of a search take it as their time limit.
        """
        ...
