from __future__ import annotations

import pytest

from search.domains.plan.report.render.text import Facts
from search.domains.plan.report.sentences import SLOT, templates
from search.domains.plan.reports import Report
from search.domains.plan.verify import check_report
from search.domains.plan.verify.text import has_digit
from tests.search.domains.plan.ended import Plan, plan_of, report_of
from workers.bench.plan import results


def words_of(report: Report) -> str:
    facts = Facts(report)
    return "\n".join(
        facts.plain(sentence.pieces)
        for section in report.sections
        for part in section.parts
        for passage in part.passages
        for sentence in passage.sentences
    )


def test_a_plan_of_eleven_jobs_has_a_report_of_2000_words() -> None:
    text = words_of(report_of(plan_of()))
    assert 1500 < len(text.split()) < 3000
    assert "1,824" in text
    assert "the same within rounding" in text
    assert "45.6" in text


def test_the_same_seed_gives_the_same_report_and_another_other_wordings() -> None:
    plan = plan_of()
    assert report_of(plan, seed=3) == report_of(plan, seed=3)
    assert words_of(report_of(plan, seed=3)) != words_of(report_of(plan, seed=4))


def test_every_template_has_three_wordings_without_a_digit() -> None:
    rows = templates()
    assert len(rows) >= 120
    for row in rows:
        assert len(row.say) >= 3, row.id
        assert not any(has_digit(SLOT.sub("", text)) for text in row.say), row.id
        slots = {frozenset(name for name, _ in SLOT.findall(text)) for text in row.say}
        covered = set.union(*map(set, slots)) - {name.lstrip("!~") for name in row.when}
        # A slot that is no condition is checked when the template is chosen.
        assert all(name in row.each or name == "title" for name in covered), row.id


@pytest.fixture(scope="module")
def random_reports() -> list[tuple[Plan, Report]]:
    plans = [results.plan_of(seed) for seed in range(100)]
    return [(plan, report_of(plan, seed=seed)) for seed, plan in enumerate(plans)]


def test_reports_of_random_results_pass_the_check(
    random_reports: list[tuple[Plan, Report]],
) -> None:
    for (outline, jobs), report in random_reports:
        verdict = check_report(report, jobs, outline=outline)
        assert verdict.status == "valid", (report.seed, verdict.detail)


def test_a_report_survives_its_way_through_json(
    random_reports: list[tuple[Plan, Report]],
) -> None:
    for _, report in random_reports[:20]:
        assert Report.model_validate_json(report.model_dump_json()) == report


def test_nearly_every_template_is_used_by_some_plan(
    random_reports: list[tuple[Plan, Report]],
) -> None:
    used = {
        sentence.template
        for _, report in random_reports
        for section in report.sections
        for part in section.parts
        for passage in part.passages
        for sentence in passage.sentences
    }
    assert len({row.id for row in templates()} - used) <= 10


def test_a_leaf_without_a_goal_has_its_part_all_the_same() -> None:
    outline, jobs = plan_of()
    lost = outline.leaves["l1"].model_copy(update={"stage": "s99"})
    outline = outline.model_copy(update={"leaves": {**outline.leaves, "l1": lost}})
    report = report_of((outline, jobs))
    assert [part.leaf for part in report.sections[5].parts] == ["l1"]
    assert check_report(report, jobs, outline=outline).status == "valid"
