"""Errors of the collector."""

from __future__ import annotations

from workers.train.steps import StepError

Limit = tuple[str, float, float, float]  # option, value, least, most


class CollectError(StepError):
    """An unusable option or file; the message names the field, the value and the remedy."""


def check_limits(limits: tuple[Limit, ...]) -> None:
    """Raise CollectError for the first option outside its limits."""
    for name, value, least, most in limits:
        if not least <= value <= most:
            raise CollectError(
                f"--{name}: expected a number from {least} to {most}, got {value}"
            )
