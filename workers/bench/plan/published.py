"""Stored results that the published tables of `plan` read."""

CONTROL = "2026-11-30-plan-control"
STORY = "2026-11-30-plan-story"
