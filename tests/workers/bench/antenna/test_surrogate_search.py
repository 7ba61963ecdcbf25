from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.bench.antenna import surrogate_search


def test_runs_are_counted_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surrogate_search.Screened, "steps", 3)
    out = tmp_path / "lines.jsonl"
    fields = {
        "models": ["antenna-duroid"],
        "method": "genetic",
        "tasks": [7],
        "seeds": [0],
        "solves": 4,
        "predictions": 40,
        "active": [False, True],
        "out": out,
    }
    lines = list(surrogate_search.run(**fields))
    plain, active, *totals = lines
    assert (plain["active"], active["active"]) == (False, True)
    assert plain["learning_cpu_s"] == 0 < active["learning_cpu_s"]
    assert len(plain["margins_db"]) == len(plain["promised_db"]) == 4
    # Both begin with the same surrogate.
    assert plain["margins_db"][:2] == active["margins_db"][:2]
    for total, line in zip(totals, (plain, active), strict=True):
        for budget in (1, 2, 4):
            met = max(line["margins_db"][:budget]) >= 0
            assert total[f"met_after_{budget}"] == met
    rows = [{"suite": surrogate_search.SUITE, **line} for line in lines]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(surrogate_search.run(**fields)) == totals
