"""A warm start from the command line and the SDK, through a real server."""

from __future__ import annotations

from pathlib import Path

from trimtab.client import Client
from trimtab.results import JobState
from trimtab.specs.ilp import IlpSpec
from workers.bench.service.harness import Server
from workers.corpus import integer_programs


def test_files_go_up_and_the_search_begins_there(server: Server, tmp_path: Path) -> None:
    model = integer_programs.set_cover(1_000, 800, seed=4)  # not closed in 3 s
    file, start = tmp_path / "cover.mps", tmp_path / "start.sol"
    integer_programs.write_mps(model, file)
    start.write_text("".join(f"x{j} 1\n" for j in range(model.n)))
    with Client(server.url, api_key=server.key) as client:
        job = client.submit_file(file, warm_start=start, seconds=3)
        view = job.wait(60)
        assert view.state is JobState.SUCCEEDED
        result = job.result()
        # The entry is missing when the run ends before the search.
        assert result.summary.get("lns_started_by", "warm-start") == "warm-start"
        assert {"solution.sol", "curve.csv", "curve.svg"} <= set(job.artifacts)
        # The solution of one job is the warm start of the next.
        solution = job.download("solution.sol", tmp_path / "again.sol")
        again = client.submit(IlpSpec.from_file(file, warm_start=solution), seconds=3)
        continued = again.result(60)
        assert continued.objective is not None
        assert result.objective is not None
        assert continued.objective <= result.objective
        # A file of another model fails with a sentence.
        start.write_text("y7 1\n")
        refused = client.submit_file(file, warm_start=start, seconds=3)
        view = refused.wait(60)
        assert view.state is JobState.FAILED
        assert view.termination is not None
        assert "'y7'" in view.termination.detail
