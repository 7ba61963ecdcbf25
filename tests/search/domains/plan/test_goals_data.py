"""The goals in words are complete, and every reference is a request that the kinds accept."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import highspy
import pytest

from search.archives import unpack
from tests.search.domains.plan.goals import files
from tests.search.domains.plan.goals.check import check
from tests.search.domains.plan.goals.load import (
    DEVELOPER,
    FIFTH_HELD_OUT,
    FOURTH_HELD_OUT,
    HELD_OUT,
    HERE,
    OTHER_AUTHORS,
    SECOND_HELD_OUT,
    STRATA,
    THIRD_HELD_OUT,
    TRAINING,
    Goal,
    GoalError,
    load,
)
from tests.search.domains.plan.goals.load_hostile import PROPERTIES, load_hostile
from tests.search.domains.plan.goals.references import answered, look_up
from trimtab.specs.sharding import ShardingSpec
from trimtab.tables import TablesError, read_tables
from workers.corpus.goals.references import text_of

KINDS = ("antenna", "compile", "ilp", "sharding")
# Goals of each stratum; None: as they come in life, most of them of one job.
SETS = [
    pytest.param(DEVELOPER, 8, id="developer"),
    pytest.param(HELD_OUT, 4, id="held-out"),
    *(pytest.param(path, None, id=path.stem) for path in OTHER_AUTHORS),
    pytest.param(SECOND_HELD_OUT, 6, id="second-held-out"),
]
ALL = [*SETS, *(pytest.param(path, None, id=path.stem) for path in TRAINING)]
SEALED = (
    HELD_OUT,
    SECOND_HELD_OUT,
    THIRD_HELD_OUT,
    FOURTH_HELD_OUT,
    FIFTH_HELD_OUT,
)


@pytest.mark.parametrize(("path", "per_stratum"), SETS)
def test_each_stratum_and_each_kind_has_its_share(
    path: Path, per_stratum: int | None
) -> None:
    goals = load(path)
    assert len({goal.id for goal in goals}) == len(goals)
    assert len({goal.goal for goal in goals}) == len(goals)
    strata = Counter(goal.stratum for goal in goals)
    assert set(strata) == set(STRATA)
    assert per_stratum is None or set(strata.values()) == {per_stratum}
    kinds = Counter(
        kind for goal in goals for kind in {job.kind for job in goal.graphs[0].jobs}
    )
    assert min(kinds[kind] for kind in KINDS) >= 8
    assert set(kinds) == set(KINDS)


@pytest.mark.parametrize(("path", "per_stratum"), ALL)
def test_each_reference_is_a_request_that_its_kind_accepts(
    path: Path, per_stratum: int | None, tmp_path: Path
) -> None:
    table_file = tmp_path / "tables.csv"
    table_file.write_bytes(files.content("tables.csv"))
    tables = read_tables(table_file)
    for goal in load(path):
        for name in goal.files:
            assert files.content(name), name
        for spec in check(goal):
            if isinstance(spec, ShardingSpec):
                spec.check_constraints(tables)


@pytest.mark.parametrize(("path", "per_stratum"), ALL)
def test_a_question_that_must_be_asked_is_answered_with_an_effect(
    path: Path, per_stratum: int
) -> None:
    for goal in load(path):
        for tag in goal.must_ask:
            answer = goal.answers[tag]
            assert answer.set or answer.files, goal.id


@pytest.mark.parametrize("sealed", SEALED, ids=lambda path: path.stem)
def test_held_out_files_are_the_sealed_ones_and_share_no_goal(sealed: Path) -> None:
    digest = hashlib.sha256(text_of(sealed).encode()).hexdigest()
    assert digest in (HERE / "SEAL.md").read_text()
    ids, texts = _open()
    there = load(sealed)
    # The author of the third seal numbered goals by a letter that an open set has, too.
    assert not ids & {goal.id for goal in there} or sealed == THIRD_HELD_OUT
    assert not texts & {goal.goal for goal in there}


@cache
def _open() -> tuple[set[str], set[str]]:
    """Ids and texts of all open goals."""
    paths = (DEVELOPER, *OTHER_AUTHORS, *TRAINING)
    goals = [goal for path in paths for goal in load(path)]
    return {goal.id for goal in goals}, {goal.goal for goal in goals}


def _one(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> Goal:
    record: dict[str, Any] = {
        "id": "g000",
        "stratum": "order",
        "persona": "nobody",
        "goal": "Solve a.mps, then again from its solution, and mail me.",
        "files": ["a.mps"],
        "jobs": [
            {
                "name": "a",
                "kind": "ilp",
                "files": {"model": "a.mps"},
                "set": {"seed": 1},
                "any_of": {"spec.threads": [2, None]},
            },
            {
                "name": "b",
                "kind": "ilp",
                "files": {
                    "model": "a.mps",
                    "warm_start": {"output_of": "a", "output": "solution.sol"},
                },
                "set": {},
            },
        ],
        "order": [],
        "not_done": ["mail"],
        "spans": {"mail": "mail me"},
        "ask": ["?engine"],
        "answers": {"engine": {"answer": "SCIP", "set": {"*": {"spec.engine": "scip"}}}},
    }
    change(record)
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(record) + "\n")
    (goal,) = load(path)
    check(goal)
    return goal


def test_data_flow_is_an_edge_and_an_answer_reaches_every_job(tmp_path: Path) -> None:
    goal = _one(lambda record: None, tmp_path)
    assert goal.graphs[0].order == {("a", "b")}
    slots = answered(goal, goal.graphs[0], frozenset({"engine"}))
    assert slots == {
        "a": {"seed": 1, "spec.engine": "scip"},
        "b": {"spec.engine": "scip"},
    }


def test_the_example_of_the_readme_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (HERE / "README.md").read_text(), re.S)
    goal = _one(lambda record: record.update(json.loads(example)), tmp_path)
    assert goal.must_ask == set()
    assert [job.kind for job in goal.graphs[0].jobs] == ["ilp", "ilp"]


FAULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "order: expected no cycle": lambda r: r.update(order=[["b", "a"]]),
    "expected a field of the kind": lambda r: r["jobs"][0]["set"].update({"spec.gap": 1}),
    "expected a value of the schema": lambda r: r["jobs"][0]["set"].update({"seed": -1}),
    "expected each path once": lambda r: r["jobs"][0]["set"].update({"spec.threads": 2}),
    "at least two values": lambda r: r["jobs"][0]["any_of"].update({"spec.threads": [2]}),
    "takes a file": lambda r: r["jobs"][0]["files"].update({"engine": "a.mps"}),
    "files.warm_start.output": lambda r: r["jobs"][1]["files"]["warm_start"].update(
        output="plan.json"
    ),
    "expected a valid request": lambda r: r["jobs"][1].update(files={}),
    "files of a job": lambda r: r.update(files=[]),
    "kind: expected one of": lambda r: r["jobs"][0].update(kind="bake"),
    "spans: expected words of the goal": lambda r: r["spans"].update(mail="fax me"),
    "spans: expected one for each": lambda r: r.update(not_done=[]),
    "not_done: expected one of": lambda r: r.update(not_done=["fax"], spans={"fax": "a"}),
    "stratum: expected one of": lambda r: r.update(stratum="easy"),
    "marks: expected words of the goal": lambda r: r.update(
        marks=[["fax me", "a", "seed"]]
    ),
    "ask: expected one of": lambda r: r.update(ask=["?colour"]),
    "expected the fields of README": lambda r: r.update(comment="none"),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_wrong_reference_is_refused(message: str, tmp_path: Path) -> None:
    with pytest.raises(GoalError, match=f"g000.*{message}"):
        _one(FAULTS[message], tmp_path)


@pytest.mark.parametrize(
    ("path", "full"),
    [
        ("spec.devices.count", "spec.devices.0.count"),
        ("spec.devices.1.count", "spec.devices.1.count"),
        ("spec.what_if", "spec.what_if"),
        ("spec.constraints.pin.devices", "spec.constraints.pin.0.devices"),
        ("budget.seconds", "budget.seconds"),
    ],
)
def test_the_first_entry_of_a_list_is_meant_where_none_is_named(
    path: str, full: str
) -> None:
    assert look_up("sharding", path)[0] == full


def test_models_are_read_by_a_solver_and_have_one_optimum(tmp_path: Path) -> None:
    optima = set()
    for name in ("a.mps", "a.lp", "a.mps.gz", "a.lp.gz"):
        (tmp_path / name).write_bytes(files.content(name))
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        assert solver.readModel(str(tmp_path / name)) == highspy.HighsStatus.kOk, name
        solver.run()
        optima.add(abs(solver.getInfo().objective_function_value))
    assert len(optima) == 1


def test_lists_of_tables_are_read_and_other_data_are_not(tmp_path: Path) -> None:
    for name in ("tables.csv", "tables.json", "demand.csv"):
        (tmp_path / name).write_bytes(files.content(name))
    for name in ("tables.csv", "tables.json"):
        assert [table.name for table in read_tables(tmp_path / name)] == [*files.TABLES]
    with pytest.raises(TablesError):
        read_tables(tmp_path / "demand.csv")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_archives_hold_sources(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(files.content(name))
    unpacked = unpack(tmp_path / name, tmp_path / "out", name=name)
    assert {"src/main.c", "src/mix.c"} <= set(unpacked.files)


def test_there_are_sixty_hostile_cases_with_every_property() -> None:
    cases = load_hostile()
    assert len({case.id for case in cases}) == len(cases) == 60
    assert {name for case in cases for name in case.expect} == PROPERTIES


@pytest.mark.parametrize(
    "change",
    [
        {"expect": ["refused", "no_effect"]},
        {"expect": ["same_plan_as_neutral"]},
        {"expect": ["not_done"], "words": ["not there"]},
        {"expect": []},
        {"expect": ["harmless"]},
        {"comment": "none"},
    ],
)
def test_a_hostile_case_that_cannot_fail_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    record = {"id": "h00", "group": "shell", "goal": "ls", "files": {}}
    path = tmp_path / "hostile.jsonl"
    path.write_text(json.dumps(record | {"expect": ["refused"]} | change) + "\n")
    with pytest.raises(GoalError, match="h00"):
        load_hostile(path)
