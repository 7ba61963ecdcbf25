"""Tables with a header in a goal, images, pools, arrows and small boards."""

from __future__ import annotations

import pytest

from tests.search.domains.plan.reading.test_kinds_of_fault import read, values


def test_a_table_with_a_header_gives_one_job_for_each_row() -> None:
    reading = read(
        "Please run\n\n| model | solver | limit | seed |\n|---|---|---|---|\n"
        "| a.mps | SCIP | 2 min | 3 |\n| b.mps | HiGHS | 90 s | none |\n",
        "a.mps",
        "b.mps",
    )
    assert not reading.questions
    assert [wish.files["model"] for wish in reading.wishes] == ["a.mps", "b.mps"]
    first, second = values(reading, 0), values(reading, 1)
    assert (first["spec.engine"], first["budget.seconds"], first["seed"]) == (
        "scip",
        120,
        3,
    )
    assert second["budget.seconds"] == 90
    assert "seed" not in second
    (span,) = next(v.spans for v in reading.wishes[0].values if v.path == "spec.engine")
    assert reading.goal[span.start : span.end] == "SCIP"


def test_rows_that_name_no_field_stay_quotations() -> None:
    reading = read("a.mps, 10 s.\n| x | y |\n|---|---|\n| 7 | threads 9 |\n", "a.mps")
    assert values(reading) == {"budget.seconds": 10}


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        ("as a linked image, entry is boot_main", {"entry": "boot_main"}),
        ("image, keep isr_* and main_loop", {"keep": ["isr_*", "main_loop"]}),
        ("image with linker script ld/app.ld", {"script": "ld/app.ld"}),
        ("as a shared object, icf=safe", {"shared": True, "icf": "safe"}),
        ("image, RAM weight 0.25, keep debug info", {"ram_weight": 0.25, "debug": True}),
        ("image without lazy binding", {"lazy_binding": False}),
    ],
)
def test_fields_of_an_image_are_read(words: str, stated: dict[str, object]) -> None:
    reading = read(f"Shrink fw.c {words}.", "fw.c")
    found = values(reading)
    assert {name: found.get(f"spec.image.{name}") for name in stated} == stated


def test_a_pool_of_solutions_is_read() -> None:
    reading = read(
        "Solve a.mps for 2 minutes, I want 5 different solutions that differ in at least 3 "
        "variables, none more than 2 % worse than the best.",
        "a.mps",
    )
    found = values(reading)
    assert found["spec.pool.size"] == 5
    assert found["spec.pool.distance"] == 3
    assert found["spec.pool.gap"] == 0.02
    assert "budget.target_gap" not in found


def test_an_arrow_in_front_of_a_number_is_no_option_and_no_order() -> None:
    reading = read("a.csv -> 4 x A100 40GB. b.csv -> 8 H100, 70 GiB.", "a.csv", "b.csv")
    assert not reading.questions
    assert not reading.order
    counts = [values(reading, job)["spec.devices.0.count"] for job in (0, 1)]
    assert counts == [4, 8]


def test_a_board_of_one_millimetre_is_that_thick() -> None:
    found = values(read("An antenna for 5.25 to 5.35 GHz on a 1.575 mm board."))
    assert found["spec.board.height_mm"] == 1.575
    assert "spec.board.size_mm" not in found


def test_two_values_of_one_slot_without_a_comparison_are_asked_about() -> None:
    reading = read(
        "Run a.mps with 4 threads, it is a large model, with 8 threads.", "a.mps"
    )
    assert [question.about for question in reading.questions] == ["threads"]


def test_a_french_band_is_a_range() -> None:
    reading = read("Il me faut une antenne pour 3,3 à 3,7 GHz, s'il vous plaît.")
    found = values(reading)
    assert found["spec.bands.0.f_lo_hz"] == 3.3e9
    assert found["spec.bands.0.f_hi_hz"] == 3.7e9


def test_designs_in_a_chain_of_then_follow_each_other() -> None:
    reading = read(
        "Three antennas, one after another: 2.3-2.4 GHz, then 2.5-2.6 GHz, then 3.4-3.5 GHz."
    )
    assert {(edge.parent, edge.child) for edge in reading.order} == {(0, 1), (1, 2)}
