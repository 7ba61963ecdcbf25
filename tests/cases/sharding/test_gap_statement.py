"""A gap is 1 - bound / cost under the certified model, wherever it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.sharding.jobs import devices, run, tables
from trimtab.certificates import certified, statement
from trimtab.cli.live import report
from trimtab.results import JobState, JobView


@pytest.mark.parametrize(
    ("cost", "bound", "told"),
    [
        (1.0, 0.98, "no plan can be more than 2.0 % cheaper"),
        # 2.04 %, rounded up: 2.0 % would be false.
        (1.0, 0.9796, "no plan can be more than 2.1 % cheaper"),
        (1.0, 0.9999, "no plan can be more than 0.01 % cheaper"),
        (1.0, 1.0, "no plan can be more than 0.00 % cheaper"),
        (1.0, 0.6, "no plan can be more than 40.0 % cheaper"),
        (1.0, 0.281, "costs at most 3.6 times the proved lower bound"),
        (1.0, 0.01, "costs at most 100.0 times the proved lower bound"),
        (1.0, 0.0, "no lower bound was proved"),
    ],
)
def test_statement(cost: float, bound: float, told: str) -> None:
    assert told in statement(cost, bound)
    assert "within" not in statement(cost, bound)


def test_result_and_command_line_show_bound_and_gap(tmp_path: Path) -> None:
    result, _ = run({"tables": tables(5), "devices": devices(2)}, tmp_path)
    certificate: Any = result.summary["certificate"]
    assert certificate["statement"] in result.termination.detail
    assert result.bound is None, (
        "the certificate bounds the model's cost, not the objective"
    )
    model = certified(result.model_dump())
    assert model is not None
    assert (model.bound, model.gap) == (certificate["lower_bound_ms"], certificate["gap"])

    view = JobView.model_construct(
        id="j", kind="sharding", state=JobState.SUCCEEDED, termination=None
    )
    rows = dict(report(view, result, "http://here"))
    assert rows["bound"].startswith(f"{certificate['lower_bound_ms']:.4}"[:5])
    assert "certified model" in rows["bound"]
    assert rows["gap"] == f"{certificate['gap']:.4%} (certified model)"
