"""Words that a learned reader points at become values in the unit of the field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.search.domains.plan.reading.joint.made import (
    file,
    graph,
    job,
    read,
    stated,
    values,
)

MODEL = (file("a.mps"),)
TABLES = (file("t.csv", "user_id", "item_id", "ad_id", "campaign"),)
SOURCE = (file("prog.c"),)
MAIN = {
    "ilp": ("model", MODEL),
    "sharding": ("tables_file", TABLES),
    "compile": ("source", SOURCE),
    "antenna": ("", ()),
}


def value_of(kind: str, path: str, before: str, said: str, behind: str = "") -> Any:
    """Return the value of some words in a goal."""
    goal = f"{before}{said}{behind}"
    start = len(before)
    field, files = MAIN[kind]
    from search.domains.plan.reading.graphs.types import ReadValue, Words

    at = ReadValue(path=path, words=(Words(start=start, end=start + len(said)),))
    band = [
        ReadValue(path=f"spec.bands.0.{edge}", closed=True, value=value)
        for edge, value in (("f_lo_hz", 2.4e9), ("f_hi_hz", 2.5e9))
    ]
    extra = band if kind == "antenna" and "_hz" not in path else []
    made = graph(job(kind, at, *extra, files={field: files[0].name} if field else {}))
    return values(read(goal, files, made)).get(path)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("90 s", 90),
        ("a minute and a half", 90),
        ("half an hour", 1800),
        ("half-an-hour", 1800),
        ("three quarters of an hour", 2700),
        ("one-third of an hour", 1200),
        ("1h30", 5400),
        ("a full hour", 3600),
        ("2.5 min", 150),
        ("two hours and half", 9000),
    ],
)
def test_times_in_many_spellings(said: str, seconds: float) -> None:
    assert value_of("ilp", "budget.seconds", "solve a.mps for ", said) == seconds


@pytest.mark.parametrize(
    ("path", "said", "value"),
    [
        ("budget.target_gap", "20 bps", 0.002),
        ("budget.target_gap", "50 ppm", 5e-5),
        ("budget.target_gap", "one in a thousand", 0.001),
        ("budget.target_gap", "a tenth of a percent", 0.001),
        ("budget.target_gap", "a tenth worse", 0.1),
        ("spec.node_limit", "half a million", 500_000),
        ("spec.node_limit", "twenty k", 20_000),
        ("spec.cutoff", "1 845 000", 1_845_000),
        ("spec.cutoff", "four million two hundred thousand", 4_200_000),
        ("spec.solution_limit", "first", 1),
        ("max_attempts", "no retries", 1),
        ("spec.threads", "two dozen threads", 24),
    ],
)
def test_numbers_of_models(path: str, said: str, value: float) -> None:
    assert value_of("ilp", path, "solve a.mps with ", said) == pytest.approx(value)


@pytest.mark.parametrize(
    ("path", "said", "value"),
    [
        ("spec.board.height_mm", "a sixteenth of an inch", 1.5875),
        ("spec.board.height_mm", "787 microns", 0.787),
        ("spec.board.conductivity_s_m", "35 MS/m", 3.5e7),
        ("spec.board.tan_d", "two per mille", 0.002),
        ("spec.max_vias", "no vias", 0),
        ("spec.verify_runs", "no second solver", 0),
        ("spec.feed", "(3, 5)", [3, 5]),
        ("spec.grid.cells", "16 x 16", 16),
        ("spec.bands.0.s11_max_db", "minus thirteen decibels", -13),
    ],
)
def test_values_of_antennas(path: str, said: str, value: Any) -> None:
    got = value_of("antenna", path, "antenna 2.4 to 2.5 GHz, ", said)
    assert got == (value if isinstance(value, list) else pytest.approx(value))


def test_a_number_takes_the_unit_of_its_neighbour() -> None:
    goal = "antenna from 4.9 to 5.0 GHz"
    made = graph(
        job(
            "antenna",
            stated(goal, "spec.bands.0.f_lo_hz", "4.9"),
            stated(goal, "spec.bands.0.f_hi_hz", "5.0 GHz"),
        )
    )
    assert values(read(goal, (), made)) == {
        "spec.bands.0.f_lo_hz": 4.9e9,
        "spec.bands.0.f_hi_hz": 5.0e9,
    }


def test_a_middle_and_a_width_are_two_edges() -> None:
    goal = "915 MHz, with 26 MHz of bandwidth around it"
    made = graph(
        job(
            "antenna",
            stated(goal, "spec.bands.0.f_lo_hz", goal),
            stated(goal, "spec.bands.0.f_hi_hz", goal),
        )
    )
    assert values(read(goal, (), made)) == {
        "spec.bands.0.f_lo_hz": 9.02e8,
        "spec.bands.0.f_hi_hz": 9.28e8,
    }


def test_the_column_of_a_table_gives_the_unit() -> None:
    goal = "| file | minutes | gap |\n|---|---|---|\n| a.mps | 30 | 1 % |\n"
    made = graph(
        job("ilp", stated(goal, "budget.seconds", "30"), files={"model": "a.mps"})
    )
    assert values(read(goal, MODEL, made)) == {"budget.seconds": 1800}


def test_numbers_in_quoted_text_are_data() -> None:
    goal = "> Tomek: solve a.mps, 40 seconds.\nfine"
    made = graph(
        job("ilp", stated(goal, "budget.seconds", "40 seconds"), files={"model": "a.mps"})
    )
    assert "quoted" in str(read(goal, MODEL, made))


@pytest.mark.parametrize(
    ("path", "said", "value"),
    [
        ("spec.constraints.no_split", "user id nor campain", ["user_id", "campaign"]),
        ("spec.constraints.together", "item_id and ad_id", [["item_id", "ad_id"]]),
        ("spec.what_if", "16 and 32", [16, 32]),
        ("spec.devices.0.count", "2 nodes of 8", 16),
        ("spec.devices.0.memory_gib", "half of the 80 GiB, so forty", 40),
        ("spec.global_batch", "two to the seventeenth", 131_072),
        ("spec.fabric.inter_gb_s", "200 Gbit/s", 25),
    ],
)
def test_values_of_tables(path: str, said: str, value: Any) -> None:
    assert value_of("sharding", path, "place t.csv with ", said) == value


@pytest.mark.parametrize(
    ("path", "said", "value"),
    [
        ("spec.build.defines", "NDEBUG and BUF=64", ["NDEBUG", "BUF=64"]),
        ("spec.build.flags", "c++20", ["-std=c++20"]),
        ("spec.build.exclude", "tests/", ["tests/*"]),
        ("spec.link.libraries", "libm and pthread", ["m", "pthread"]),
        ("spec.image.keep", "isr_", ["isr_*"]),
        ("spec.runs.0.arguments", "-n 500", ["-n", "500"]),
        ("spec.runs.0.expected_exit", "exit code 0", 0),
        ("spec.target.features", "avx2 on, sse4a off", "+avx2,-sse4a"),
        ("spec.target.cpu", "cortex-m0+", "cortex-m0plus"),
        ("labels", "team=ops", {"team": "ops"}),
        ("name", '"Friday roster"', "Friday roster"),
    ],
)
def test_names_of_programs(path: str, said: str, value: Any) -> None:
    got = value_of("compile", path, "shrink prog.c with ", said)
    assert got == value
