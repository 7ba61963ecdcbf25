"""The fuzzer of sharding at a small number of cases, and with planted faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from search.domains.sharding.encode import items
from search.domains.sharding.search import run
from workers.bench.fuzz.cli import run_case
from workers.bench.fuzz.types import Fault, Outcome

CASES = 3_000
SEED = 5


def test_search_and_enumeration_agree(scale: float) -> None:
    outcomes = [
        run_case("sharding", SEED, index)
        for index in range(max(20, round(CASES * scale)))
    ]
    findings = [outcome.finding for outcome in outcomes if outcome.finding is not None]
    assert not findings, "\n".join(f"{f.fault}: {f.detail}" for f in findings)
    labels = Counter(outcome.label for outcome in outcomes)
    assert (
        sum(n for label, n in labels.items() if label.startswith("plan, model"))
        > len(outcomes) / 5
    ), labels


def faults(count: int = 25) -> list[Fault]:
    outcomes: list[Outcome] = [
        run_case("sharding", SEED, index) for index in range(count)
    ]
    return [outcome.finding.fault for outcome in outcomes if outcome.finding is not None]


def test_it_reports_a_bound_that_is_too_high(monkeypatch: pytest.MonkeyPatch) -> None:
    prove: Callable[..., Any] = run.prove

    def raised(*args: Any, **options: Any) -> Any:
        certificate = prove(*args, **options)
        return replace(certificate, lower_bound_ms=1.5 * certificate.lower_bound_ms)

    monkeypatch.setattr(run, "prove", raised)
    assert Fault.WRONG in faults()


def test_it_reports_memory_counted_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    shard_bytes = items.shard_bytes
    monkeypatch.setattr(items, "shard_bytes", lambda *args: 1.5 * shard_bytes(*args))
    assert Fault.WRONG in faults(), "plans that fit are called infeasible"
