"""Every number of a goal is used, asked about, or shown as not understood."""

from __future__ import annotations

import pytest

from search.domains.plan.reading import in_words, read_goal
from search.domains.plan.reading.bounds import fold
from search.domains.plan.reading.tokens import Form, tokens_of
from search.domains.plan.types import FileFacts, FileRole, Reading
from tests.search.domains.plan.goals.files import content
from tests.search.domains.plan.goals.load import DEVELOPER, Goal, load
from tests.search.domains.plan.reading.phrasing import SPECS

GOALS = load(DEVELOPER)
_ROLES = {
    ".mps": FileRole.MODEL,
    ".lp": FileRole.MODEL,
    ".gz": FileRole.MODEL,
    ".csv": FileRole.TABLES,
    ".sol": FileRole.START,
    ".c": FileRole.SOURCE,
    ".zip": FileRole.SOURCE,
}


def facts(name: str) -> FileFacts:
    """Return the facts of a file of which only the name is known."""
    role = next((r for end, r in _ROLES.items() if name.endswith(end)), FileRole.UNKNOWN)
    return FileFacts(name=name, digest="sha256:" + "0" * 64, roles=(role,))


def read(goal: str, *files: str) -> Reading:
    """Return the reading of a goal with files of these names."""
    return read_goal(goal, [facts(name) for name in files], specs=SPECS)


def values(reading: Reading, job: int = 0) -> dict[str, object]:
    """Return the values of a job by their paths."""
    return {value.path: value.value for value in reading.wishes[job].values}


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.id)
def test_every_number_is_accounted_for(goal: Goal) -> None:
    reading = read(goal.goal, *goal.files)
    if reading.refused:
        return
    shown = [s for w in reading.wishes for v in w.values for s in v.spans]
    shown += [s for q in reading.questions for s in q.spans]
    shown += [s for part in reading.not_done for s in part.spans]
    shown += reading.not_understood
    text = fold(goal.goal)
    for token in tokens_of(text, goal.files):
        if token.form is Form.NUMBER and not any(
            s.start <= text.at[token.start] < s.end for s in shown
        ):
            _is_a_counter(reading, goal.goal, text.at[token.start])


def _is_a_counter(reading: Reading, goal: str, at: int) -> None:
    """Numbers that count what is there, or were corrected, need a job or a note beside them."""
    assert reading.wishes or reading.questions or reading.not_done
    assert goal[at].isdigit() or goal[at] == "."


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.id)
def test_spans_are_inside_the_goal_and_words_are_said(goal: Goal) -> None:
    reading = read(goal.goal, *goal.files)
    spans = [s for w in reading.wishes for v in w.values for s in v.spans]
    spans += [s for w in reading.wishes for s in w.spans]
    spans += [s for part in reading.not_done for s in part.spans]
    assert all(0 <= s.start < s.end <= len(goal.goal) for s in spans)
    assert in_words(reading) or reading.questions
    assert len(reading.questions) <= 3


@pytest.mark.parametrize(
    "name", ["a.mps", "b.lp", "c.mps.gz", "d.sol", "e.c", "f.csv", "g.zip"]
)
def test_contents_of_the_goals_files_exist(name: str) -> None:
    assert content(name)
