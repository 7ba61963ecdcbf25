"""The recipe "Add a metric": declare it in `telemetry.Metrics`, set it in one other module."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from services.gateway.app import create_app
from services.settings import Settings
from services.telemetry import Metrics
from tests.doubles.memory_store import MemoryStore

ROOT = Path(__file__).parents[2]
DECLARED = {
    name: series
    for name, series in vars(Metrics()).items()
    if isinstance(series, Counter | Gauge | Histogram)
}


def test_every_metric_is_set_in_one_module() -> None:
    """Declared in telemetry.py and set in exactly one other module: two places."""
    places: dict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "services").rglob("*.py"):
        if file.name == "telemetry.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            # metrics.NAME or _metrics.NAME, for any object that holds the metrics
            if isinstance(node, ast.Attribute):
                owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
                if owner in ("metrics", "_metrics"):
                    places[node.attr].add(file.relative_to(ROOT).as_posix())
    for name in DECLARED:
        assert len(places[name]) == 1, (name, places[name])


@pytest.mark.parametrize("name", DECLARED)
def test_names_and_help_follow_the_conventions(name: str) -> None:
    series = DECLARED[name]
    (family,) = series.describe()
    assert family.name.startswith("trimtab_"), family.name
    text = family.documentation
    assert text[0].isupper(), text
    assert not text.endswith("."), text
    if isinstance(series, Histogram):
        assert family.name.endswith(("_seconds", "_bytes")), "a histogram names its unit"


def test_a_new_metric_is_exposed_without_another_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/metrics` shows every declared series, and one that is declared at run time."""
    settings = Settings(data_dir=tmp_path, role="gateway", log_level="error")
    app = create_app(settings, store=MemoryStore())
    registry = app.state.context.metrics.registry
    Counter("trimtab_invented", "Inventions", registry=registry).inc()
    with TestClient(app, base_url="http://127.0.0.1") as client:
        key = settings.admin_key_file.read_text().strip()
        text = client.get("/metrics", headers={"authorization": f"Bearer {key}"}).text
    exposed = {family.name: family for family in text_string_to_metric_families(text)}
    assert {
        series.describe()[0].name.removesuffix("_total") for series in DECLARED.values()
    } <= {name.removesuffix("_total") for name in exposed}
    assert exposed["trimtab_invented"].samples[0].value == 1.0
