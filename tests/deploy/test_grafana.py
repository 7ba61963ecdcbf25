"""The Grafana board names metrics and labels that the service has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from services.telemetry import Metrics

BOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "trimtab.json"
_SERIES = re.compile(r"\btrimtab_[a-z_]+")
_LABELS = re.compile(r"(?:by|without)\s*\(([^)]*)\)|\{([^}]*)\}")


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def series() -> dict[str, set[str]]:
    """Every series of the service with its labels."""
    metrics = Metrics()
    for family in vars(metrics).values():
        names = getattr(family, "_labelnames", ())
        if names:
            family.labels(*("x" for _ in names))
    found: dict[str, set[str]] = {}
    for line in generate_latest(metrics.registry).decode().splitlines():
        if line.startswith("trimtab_"):
            name = re.split(r"[{ ]", line, maxsplit=1)[0]
            labels = set(re.findall(r'([a-z_]+)="', line))
            found.setdefault(name, set()).update(labels)
    return found


def test_every_metric_and_label_of_the_board_exists() -> None:
    known = series()
    used = expressions(json.loads(BOARD.read_text()))
    assert len(used) >= 10
    for expression in used:
        names = _SERIES.findall(expression)
        assert names, expression
        for name in names:
            assert name in known, f"{name} in {expression}"
        labels = {
            word.strip()
            for grouped, chosen in _LABELS.findall(expression)
            for word in (
                grouped.split(",") if grouped else re.findall(r"([a-z_]+)\s*[=!]", chosen)
            )
        }
        allowed = set().union(*(known[name] for name in names)) | {"instance", "job"}
        assert labels <= allowed, f"{labels - allowed} in {expression}"


def test_the_board_shows_wait_time_and_outcome_of_each_kind() -> None:
    text = " ".join(expressions(json.loads(BOARD.read_text())))
    for name in (
        "trimtab_job_queue_wait_seconds_bucket",
        "trimtab_job_attempt_seconds_bucket",
        "trimtab_job_attempts_total",
        "trimtab_queue_age_seconds",
        "trimtab_webhook_tries_total",
        "trimtab_retention_removed_total",
    ):
        assert name in text


def test_panels_do_not_overlap_and_have_units() -> None:
    board = json.loads(BOARD.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"]
    assert max(x for x, _ in taken) < 24
