"""Errors of the collector."""

from __future__ import annotations

from workers.train.steps import StepError


class CollectError(StepError):
    """The command or the file cannot be used; the message names the field, the value, and the remedy."""
