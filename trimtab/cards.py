"""Cards of fitted models: what was measured on held-out instances, and what follows from it.

A card holds one row for each held-out instance, measured with the shipped and with the fitted
model. `judged` derives mean, interval and decision from the rows alone, in plain Python, so that
the worker that made a card, the server that stores it and its owner all get the same answer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, model_validator

from trimtab.specs.common import ShortText, Text, WireModel

CARD_FORMAT = "trimtab-card/1"
CONFIDENCE = 0.95
RESAMPLES = 2_000
LEAST_HELD_OUT = 5
"""Held-out instances below which no interval is computed: with four, chance alone puts the whole
interval on the good side once in sixteen times."""
MOST_HELD_OUT = 1_000


class Better(StrEnum):
    """Direction of a metric."""

    LOWER = "lower"
    """Lower is better."""
    HIGHER = "higher"
    """Higher is better."""


class Compared(StrEnum):
    """Comparison of the two values of an instance."""

    DIFFERENCE = "difference"
    """Fitted minus shipped, in the metric's unit."""
    RATIO = "ratio"
    """log(fitted / shipped): instances of any size count alike. Values must be positive."""


class Metric(WireModel):
    """Metric of each held-out instance."""

    name: ShortText
    """The field's word, e.g. `absolute percentage error`."""
    unit: ShortText = ""
    """Unit of the values; empty for none."""
    better: Annotated[Better, Field(strict=False)] = Better.LOWER
    """Direction."""
    compared: Annotated[Compared, Field(strict=False)] = Compared.DIFFERENCE
    """How the two values of an instance are compared."""


class CardRow(WireModel):
    """A held-out instance."""

    instance: ShortText
    """Name of the instance."""
    key: ShortText
    """sha256 of its content."""
    shipped: float
    """The metric with the shipped model."""
    fitted: float
    """The metric with the fitted model."""


class Interval(WireModel):
    """Mean of a sample of paired comparisons, and a bootstrap interval of it."""

    mean: float
    """Mean over the held-out instances; of logarithms for `ratio`."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    confidence: float = CONFIDENCE
    """Share of intervals that cover the true mean."""
    resamples: int = RESAMPLES
    """Bootstrap samples."""


class Decision(StrEnum):
    """Decision that follows from a card."""

    ADOPTED = "adopted"
    """The whole interval lies on the good side: later jobs may use the model."""
    REJECTED = "rejected"
    """It does not: later jobs keep the shipped model."""


class CurvePoint(WireModel):
    """A point of the learning curve."""

    stage: ShortText
    """Stage of the fitting."""
    step: int
    """Step, from 1."""
    loss: float
    """Loss on the fit instances."""
    validation: float | None = None
    """Loss on a part of the fit instances that the step did not see."""


class Sizes(WireModel):
    """Numbers of instances."""

    instances: int
    """All."""
    fit: int
    """Those the model was fitted to."""
    held_out: int
    """Those it was judged by."""


class Card(WireModel):
    """A card: how a fitted model compares with the shipped one, and the decision."""

    format: Literal["trimtab-card/1"] = CARD_FORMAT  # type: ignore[assignment]
    """Name and version of this file format."""
    target: ShortText
    """Kind of job that the model is for."""
    metric: Metric
    """What was measured."""
    data_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Hash over the keys and labels of all instances, in order of keys."""
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Hash of the model file."""
    model_bytes: Annotated[int, Field(ge=0)]
    """Size of the model file."""
    command: Text
    """Request that repeats the job: its spec as JSON, without the files' contents."""
    seed: int
    """Seed of the split, the fitting and the bootstrap."""
    sizes: Sizes
    """Numbers of instances."""
    rows: Annotated[
        tuple[CardRow, ...],
        Field(min_length=LEAST_HELD_OUT, max_length=MOST_HELD_OUT, strict=False),
    ]
    """Held-out instances."""
    difference: Interval
    """Comparison of the fitted with the shipped model over the rows."""
    decision: Annotated[Decision, Field(strict=False)]
    """Adopted or rejected, by the rule of `judged`."""
    reasons: Annotated[tuple[Text, ...], Field(max_length=32, strict=False)]
    """The decision in words."""
    pretrained: bool = False
    """Whether self-supervised pre-training took part."""
    alarms: Annotated[tuple[Text, ...], Field(max_length=32, strict=False)] = ()
    """Collapse alarms of pre-training."""
    notes: Annotated[tuple[Text, ...], Field(max_length=32, strict=False)] = ()
    """What else its owner should know."""
    scope: dict[str, JsonValue] = Field(default_factory=dict)
    """Inputs that the model is for, as the model file states them."""
    curve: Annotated[tuple[CurvePoint, ...], Field(max_length=500, strict=False)] = ()
    """Learning curve."""
    figures: dict[str, JsonValue] = Field(default_factory=dict)
    """Further figures of the target."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that took part."""

    @model_validator(mode="after")
    def _counts_agree(self) -> Card:
        if self.sizes.held_out != len(self.rows):
            raise ValueError(
                f"sizes.held_out: expected {len(self.rows)}, the rows, got {self.sizes.held_out}"
            )
        return self


class CannotJudge(ValueError):
    """No decision follows from the rows."""


def comparisons(rows: Sequence[CardRow], metric: Metric) -> list[float]:
    """Return one number for each row, negative or positive as the metric has it.

    Raises CannotJudge for a value that is not finite, or not positive where ratios are compared.
    """
    compared = []
    for row in rows:
        pair = (row.shipped, row.fitted)
        if not all(map(math.isfinite, pair)):
            raise CannotJudge(
                f"{row.instance}: expected finite values of {metric.name}, got {pair}"
            )
        if metric.compared is Compared.RATIO:
            if min(pair) <= 0:
                raise CannotJudge(
                    f"{row.instance}: expected positive values of {metric.name}, because ratios "
                    f"are compared, got {pair}"
                )
            compared.append(math.log(row.fitted / row.shipped))
        else:
            compared.append(row.fitted - row.shipped)
    return compared


def interval_of(values: Sequence[float], *, seed: int) -> Interval:
    """Return mean and percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13)."""
    count = len(values)
    rng = random.Random(f"trimtab-card/{seed}")
    means = sorted(
        math.fsum(rng.choices(values, k=count)) / count for _ in range(RESAMPLES)
    )
    tail = (1 - CONFIDENCE) / 2
    return Interval(
        mean=math.fsum(values) / count,
        low=means[int(tail * RESAMPLES)],
        high=means[min(RESAMPLES - 1, math.ceil((1 - tail) * RESAMPLES) - 1)],
    )


def judged(
    rows: Sequence[CardRow], metric: Metric, *, seed: int, alarms: Sequence[str] = ()
) -> tuple[Interval, Decision, tuple[str, ...]]:
    """Return interval, decision and reasons.

    The rule, fixed in advance: adopt a model only if the whole interval of the paired comparison
    lies on the good side and no collapse alarm is raised. Raises CannotJudge.
    """
    if not LEAST_HELD_OUT <= len(rows) <= MOST_HELD_OUT:
        raise CannotJudge(
            f"held-out instances: expected {LEAST_HELD_OUT} to {MOST_HELD_OUT}, got {len(rows)}"
        )
    interval = interval_of(comparisons(rows, metric), seed=seed)
    lower = metric.better is Better.LOWER
    good = interval.high < 0 if lower else interval.low > 0
    adopted = good and not alarms
    shipped, fitted = _means(rows)
    unit = f" {metric.unit}" if metric.unit else ""
    reasons = [
        f"Mean {metric.name} on {len(rows)} held-out instances: {fitted:.3g}{unit} with the "
        f"fitted model, {shipped:.3g}{unit} with the shipped one.",
        f"{_in_words(interval, metric)}; {metric.better.value} is better.",
        "The whole interval lies on the good side."
        if good
        else "The interval does not lie on the good side, so an improvement is not shown.",
    ]
    reasons += [f"Collapse alarm: {alarm}" for alarm in alarms]
    decision = Decision.ADOPTED if adopted else Decision.REJECTED
    return interval, decision, (*reasons, f"The model is {decision.value}.")


def means(card: Card) -> tuple[float, float]:
    """Return the mean metric with the shipped and with the fitted model."""
    return _means(card.rows)


def _means(rows: Sequence[CardRow]) -> tuple[float, float]:
    return (
        math.fsum(row.shipped for row in rows) / len(rows),
        math.fsum(row.fitted for row in rows) / len(rows),
    )


def _in_words(interval: Interval, metric: Metric) -> str:
    share = f"{100 * interval.confidence:g} % bootstrap interval"
    values = (interval.mean, interval.low, interval.high)
    if metric.compared is Compared.RATIO:
        # Ratios near 1 differ in the fourth digit.
        mean, low, high = (f"{math.exp(value):.4g}" for value in values)
        return f"Geometric mean ratio fitted / shipped {mean}, {share} {low} to {high}"
    mean, low, high = (f"{value:+.3g}" for value in values)
    unit = f" {metric.unit}" if metric.unit else ""
    return f"Mean difference fitted - shipped {mean}{unit}, {share} {low} to {high}"


def disagreements(card: Card) -> list[str]:
    """Return what in a card does not follow from its own rows; empty for a sound card."""
    try:
        interval, decision, _ = judged(
            card.rows, card.metric, seed=card.seed, alarms=card.alarms
        )
    except CannotJudge as error:
        return [str(error)]
    faults = []
    for name in ("mean", "low", "high"):
        stated: Any = getattr(card.difference, name)
        derived: Any = getattr(interval, name)
        if not math.isclose(stated, derived, rel_tol=1e-9, abs_tol=1e-12):
            faults.append(f"difference.{name}: expected {derived!r}, got {stated!r}")
    if decision is not card.decision:
        faults.append(f"decision: expected {decision.value}, got {card.decision.value}")
    if len({row.key for row in card.rows}) != len(card.rows):
        faults.append("rows: expected every held-out instance once")
    return faults
