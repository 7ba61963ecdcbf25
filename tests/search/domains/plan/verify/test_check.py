"""Reports with one fault each: the check must name it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from search.domains.plan.reports import Report
from search.domains.plan.verify import check_report
from search.rest import EndedJob
from tests.search.domains.plan.ended import plan_of, report_of

Data = dict[str, Any]
PLAN = plan_of()
REPORT = report_of(PLAN)


def verdict(data: Data, jobs: dict[str, EndedJob] | None = None) -> Any:
    report = Report.model_validate_json(json.dumps(data))
    return check_report(report, PLAN[1] if jobs is None else jobs, outline=PLAN[0])


def sentences(data: Data) -> list[Data]:
    return [
        sentence
        for section in data["sections"]
        for part in section["parts"]
        for passage in part["passages"]
        for sentence in passage["sentences"]
    ]


def fresh() -> Data:
    return REPORT.model_dump(mode="json")


def fact(data: Data, leaf: str, name: str) -> Data:
    return next(f for f in data["facts"] if (f["leaf"], f["name"]) == (leaf, name))


def test_a_report_as_written_is_valid() -> None:
    answer = verdict(fresh())
    assert answer.status == "valid"
    assert answer.checks["slots"] > 150


def set_value(data: Data) -> None:
    fact(data, "l1", "objective").update(value="1825.0", shown="1,825")


def round_up(data: Data) -> None:
    fact(data, "l1", "gap")["shown"] = "2"


def other_pointer(data: Data) -> None:
    fact(data, "l1", "bound").update(
        pointer="/result/objective", value="1824.0", shown="1,824"
    )


def other_job(data: Data) -> None:
    fact(data, "l1", "objective")["job"] = "job_scip"


def old_attempt(data: Data) -> None:
    fact(data, "l1", "objective")["fence"] = 7


def call_verified(data: Data) -> None:
    fact(data, "l1", "bound")["verified"] = "verified"


def other_unit(data: Data) -> None:
    fact(data, "l4", "objective")["unit"] = "s"


def flip_statement(data: Data) -> None:
    fact(data, "l1", "optimal")["value"] = True


def other_derivation(data: Data) -> None:
    fact(data, "l4", "below_rival").update(value="3.5", shown="3.5")


def other_winner(data: Data) -> None:
    fact(data, "l4", "rival").update(value="dim", shown="dim")


def digit_outside_a_slot(data: Data) -> None:
    sentences(data)[0]["pieces"].insert(0, {"text": "In 3 words: "})


def numeral_outside_a_slot(data: Data) -> None:
    sentences(data)[0]["pieces"].insert(0, {"text": "½ of it: "})


def other_words(data: Data) -> None:
    piece = next(
        p for s in sentences(data) for p in s["pieces"] if " reached " in p["text"]
    )
    piece["text"] = piece["text"].replace("reached", "beat")


def other_slot(data: Data) -> None:
    slots = [p for s in sentences(data) for p in s["pieces"] if p["fact"]]
    slots[5]["fact"], slots[-5]["fact"] = slots[-5]["fact"], slots[5]["fact"]


def untrue_sentence(data: Data) -> None:
    names = {s["template"]: s for s in sentences(data)}
    names["by_time"].update(template="proved_early", wording=0)


def two_verdicts(data: Data) -> None:
    for section in data["sections"]:
        for part in section["parts"]:
            for passage in part["passages"]:
                if passage["about"] == "check":
                    passage["sentences"] += passage["sentences"]


def silence(data: Data) -> None:
    for section in data["sections"]:
        for part in section["parts"]:
            for passage in part["passages"]:
                if passage["about"] == "outcome":
                    passage.update(sentences=[], evidence=[])


def missing_part(data: Data) -> None:
    data["sections"][1]["parts"] = data["sections"][1]["parts"][1:]


def other_curve(data: Data) -> None:
    plots = [p for s in data["sections"] for part in s["parts"] for p in part["plots"]]
    plots[0]["curves"][0]["points"][0] = [0.0, 1e6]


def other_bar(data: Data) -> None:
    plots = [p for s in data["sections"] for part in s["parts"] for p in part["plots"]]
    bars = next(plot for plot in plots if plot["type"] == "bars")
    bars["curves"][0]["value"] = 1.0


def model_with_slot(data: Data) -> None:
    sentences(data)[0].update(source="model", template="")


FAULTS: tuple[Callable[[Data], None], ...] = (
    *(set_value, round_up, other_pointer, other_job, old_attempt, call_verified),
    *(other_unit, flip_statement, other_derivation, other_winner),
    *(digit_outside_a_slot, numeral_outside_a_slot, other_words, other_slot),
    *(untrue_sentence, two_verdicts, silence, missing_part, other_curve, other_bar),
    model_with_slot,
)


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_a_spoilt_report_is_refused(spoil: Callable[[Data], None]) -> None:
    data = fresh()
    spoil(data)
    answer = verdict(data)
    assert answer.status == "invalid"
    assert answer.detail


def test_another_result_makes_the_report_invalid() -> None:
    jobs = dict(PLAN[1])
    result = {**(jobs["l1"].result or {}), "objective": 1825.0}
    jobs["l1"] = replace(jobs["l1"], result=result)
    assert verdict(fresh(), jobs).status == "invalid"


def test_a_change_of_any_stated_number_is_noticed() -> None:
    """Changes the digits of one measured or derived figure after the other."""
    rng = random.Random(0)
    stated = {p["fact"] for s in sentences(fresh()) for p in s["pieces"] if p["fact"]}
    numbers = [
        f
        for f in fresh()["facts"]
        if f["id"] in stated and f["shown"].strip("0123456789,.e+-") == "" and f["shown"]
    ]
    for one in rng.sample(numbers, 60):
        data = fresh()
        changed = next(f for f in data["facts"] if f["id"] == one["id"])
        digits = [i for i, c in enumerate(changed["shown"]) if c.isdigit()]
        at = rng.choice(digits)
        digit = str((int(changed["shown"][at]) + rng.randint(1, 9)) % 10)
        changed["shown"] = changed["shown"][:at] + digit + changed["shown"][at + 1 :]
        assert verdict(data).status == "invalid", one
