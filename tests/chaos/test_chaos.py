"""Kill, pause and crash: the suites of workers/bench/service, sized by `--scale`.

Each suite checks its own invariants.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from workers.bench.service import cli
from workers.bench.service.graphs import PLAN_SHARE
from workers.bench.service.postgres import PostgresMissing, binaries

pytestmark = pytest.mark.chaos
GIVEN = argparse.Namespace(seed=0, model=None, plan_share=PLAN_SHARE)


def test_no_submit_is_lost_or_doubled_when_the_gateway_is_killed(
    tmp_path: Path, scale: float
) -> None:
    figures = cli.kill_gateway(tmp_path, scale, GIVEN)
    assert figures["kills"] >= 2
    assert figures["lost"] == figures["duplicates"] == 0
    assert figures["integrity_check"] == "ok"


def test_every_job_has_one_effect_when_workers_are_killed_and_paused(
    tmp_path: Path, scale: float
) -> None:
    figures = cli.kill_workers(tmp_path, scale / 4 if scale < 0.5 else scale, GIVEN)
    assert figures["kills"] >= 3
    assert figures["pauses"] >= 2
    assert figures["lost"] == 0
    assert figures["stale_writes_refused"] >= 1


def test_graphs_end_as_they_must_when_everything_is_killed(
    tmp_path: Path, scale: float
) -> None:
    figures = cli.kill_graphs(tmp_path, scale / 4 if scale < 0.5 else scale, GIVEN)
    assert figures["service_kills"] >= 2
    assert figures["edges"] > figures["graphs"]
    assert figures["skipped"] > 0
    assert figures["lost"] == figures["started_early"] == figures["run_twice"] == 0


def test_postgres_restarts_give_503_and_lose_nothing(
    tmp_path: Path, scale: float
) -> None:
    try:
        binaries()
    except PostgresMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    figures = cli.restart_postgres(tmp_path, scale, GIVEN)
    assert figures["restarts"] >= 1
    assert figures["lost"] == 0
    assert set(figures["statuses"]) <= {202, 503}
