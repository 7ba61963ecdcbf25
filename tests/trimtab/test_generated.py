"""The blocking client equals the output of deploy/tools/unasync.py for the asyncio client."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

from trimtab._plan import Plan, PlanLeaf
from trimtab._plan_aio import AsyncPlan, AsyncPlanLeaf
from trimtab.aio import AsyncClient, AsyncJob
from trimtab.client import Client, Job

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "deploy/tools/unasync.py"


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_committed_files_are_current() -> None:
    done = run(ROOT, "--check")
    assert done.returncode == 0, done.stderr


def test_a_change_of_the_source_is_noticed_and_then_written(tmp_path: Path) -> None:
    (tmp_path / "trimtab").mkdir()
    (tmp_path / "deploy/tools").mkdir(parents=True)
    for name in (
        SCRIPT,
        "pyproject.toml",
        *(f"trimtab/{stem}.py" for stem in ("aio", "client")),
        *(f"trimtab/_{stem}.py" for stem in ("connection_aio", "connection")),
        *(f"trimtab/_{stem}.py" for stem in ("plan_aio", "plan")),
    ):
        shutil.copy(ROOT / name, tmp_path / name)
    source = tmp_path / "trimtab/aio.py"
    source.write_text(source.read_text().replace("LONG_POLL_S", "SHORT_POLL_S"))
    stale = run(tmp_path, "--check")
    assert stale.returncode == 1
    assert "trimtab/client.py" in stale.stderr
    assert run(tmp_path).returncode == 0
    assert "SHORT_POLL_S" in (tmp_path / "trimtab/client.py").read_text()
    assert run(tmp_path, "--check").returncode == 0


def test_both_clients_have_the_same_names_and_arguments() -> None:
    pairs = (
        (AsyncClient, Client),
        (AsyncJob, Job),
        (AsyncPlan, Plan),
        (AsyncPlanLeaf, PlanLeaf),
    )
    for ours, theirs in pairs:
        names = [name for name in dir(ours) if not name.startswith("__")]
        assert names == [name for name in dir(theirs) if not name.startswith("__")]
        for name in names:
            twins = getattr(ours, name), getattr(theirs, name)
            if all(map(inspect.isfunction, twins)):
                first, second = (
                    list(inspect.signature(twin).parameters) for twin in twins
                )
                assert first == second, name
