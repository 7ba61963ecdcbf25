"""The one way by which doors run anything: here and on a server, stopped and refused."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trimtab.cli import server_code
from trimtab.client import Client
from trimtab.doors import local
from trimtab.doors.answer import DoorError, SolveOptions
from trimtab.doors.log import SolveLog
from trimtab.doors.solve import solve
from trimtab.results import Limit, Reason
from workers.bench.service.harness import Server

LP = "Minimize\n o: 2 x + 3 y + 5 z\nSubject To\n a: x + y >= 4\n b: x + 3 y - z <= 6\nEnd\n"
MIP = LP.replace("End", "General\n x\nEnd")


def written(folder: Path, text: str = LP) -> Path:
    path = folder / "model.lp"
    path.write_text(text)
    return path


def knapsacks(folder: Path) -> Path:
    """Write a market split instance: small, and beyond any solver within seconds."""
    import random

    rng = random.Random(7)
    rows = [[rng.randrange(100) for _ in range(40)] for _ in range(5)]
    lines = [
        "Minimize",
        " o: " + " + ".join(f"s{i} + t{i}" for i in range(5)),
        "Subject To",
    ]
    for i, row in enumerate(rows):
        terms = " + ".join(f"{value} x{j}" for j, value in enumerate(row))
        lines.append(f" r{i}: {terms} + s{i} - t{i} = {sum(row) // 2}")
    lines += ["Binary", " " + " ".join(f"x{j}" for j in range(40)), "End"]
    return written(folder, "\n".join(lines) + "\n")


def test_an_lp_has_values_bound_duals_and_reduced_costs(tmp_path: Path) -> None:
    shown = io.StringIO()
    answer = solve(written(tmp_path), SolveOptions(threads=1), log=SolveLog(shown))
    assert (answer.reason, answer.checked) == (Reason.OPTIMAL, "valid")
    assert answer.objective == answer.bound == 8
    assert answer.values(["x", "y", "z"]) == [4, 0, 0]
    assert answer.duals == {"a": 2}
    assert answer.reduced_costs == {"y": 1, "z": 5}
    assert "optimal; objective 8" in shown.getvalue()
    assert shown.getvalue() == answer.log


def test_the_child_serves_the_next_solve(tmp_path: Path) -> None:
    first = local.borrow()
    local.give_back(first)
    answer = solve(written(tmp_path, MIP), SolveOptions(seconds=30))
    assert answer.duals is None, "a model with integers has none"
    again = local.borrow()
    local.give_back(again)
    assert again is first


def test_an_interrupt_keeps_the_best_solution(tmp_path: Path) -> None:
    interrupts = iter([KeyboardInterrupt])  # a second one would end the tests

    def on_event(kind: str, data: Mapping[str, Any]) -> None:
        found = kind == "incumbent" and data.get("objective") is not None
        if found and (interrupt := next(interrupts, None)) is not None:
            raise interrupt

    answer = solve(knapsacks(tmp_path), SolveOptions(seconds=60), on_event=on_event)
    assert (answer.reason, answer.limit) == (Reason.FEASIBLE, Limit.STOPPED)
    assert answer.has_solution
    assert answer.seconds < 60


def test_gaps_end_the_solve(tmp_path: Path) -> None:
    options = SolveOptions(seconds=60, absolute_gap=1e9)
    answer = solve(knapsacks(tmp_path), options)
    assert (answer.limit, answer.is_optimal()) == (Limit.TARGET_GAP, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("this is no model", r"model\.lp: invalid_input: line 1"),
        ("Minimize\n o: x\nSubject To\n a: x + >= 1\nEnd\n", r"model\.lp: .*line 4"),
    ],
)
def test_a_refused_model_raises(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DoorError, match=message):
        solve(written(tmp_path, text))


def test_without_server_and_packages_both_ways_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> dict[str, str]:
        raise server_code.NoServer("not here")

    monkeypatch.setattr(server_code, "environment", absent)
    local.close_all()
    with pytest.raises(DoorError, match=r"set TRIMTAB_URL .* or install it: not here"):
        solve(written(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("seconds", 0, "a positive number"),
        ("gap", 1.5, r"a number in \[0, 1\]"),
        ("absolute_gap", float("nan"), "a number >= 0"),
        ("threads", 0, "a count from 1 to 64"),
        ("engine", "cplex", "one of highs, scip, cp-sat"),
        ("seed", "x", "an integer >= 0"),
    ],
)
def test_options_are_checked(name: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected {expected}, got"):
        SolveOptions(**{name: value})  # type: ignore[arg-type]


def test_a_server_gives_the_same_answer(server: Server, tmp_path: Path) -> None:
    with Client(server.url, api_key=server.key) as client:
        events: list[str] = []
        answer = solve(
            written(tmp_path),
            SolveOptions(seconds=30),
            where=client,
            on_event=lambda kind, data: events.append(kind),
        )
        assert answer.duals == {"a": 2}
        assert answer.job is not None
        assert "incumbent" in events
        with pytest.raises(DoorError, match=r"job job_.*invalid_input"):
            solve(written(tmp_path, "no model"), where=client)
