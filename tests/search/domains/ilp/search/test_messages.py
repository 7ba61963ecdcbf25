"""Messages of a run."""

from __future__ import annotations

import json
import math

import pytest

from search.domains.ilp.search.messages import (
    RUN_MESSAGES,
    EngineEnded,
    Iterated,
    NewIncumbent,
    Note,
    Role,
    RunMessage,
    SearchStarted,
    Statistics,
)
from search.domains.ilp.tagged import pack

MESSAGES: list[RunMessage] = [
    NewIncumbent(source="lns:rins"),
    EngineEnded(reason="infeasible", infeasible_rows=["a"], infeasible_columns=[]),
    SearchStarted(objective=math.inf, heuristic="construction"),
    Iterated(),
    Statistics(arms={"rins": {"calls": 3}}, solver_seconds=0.5),
    Note(text="the learned arm is disabled"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.TYPE)
def test_a_message_survives_the_pipe(message: RunMessage) -> None:
    assert RUN_MESSAGES.unpack(json.loads(json.dumps(pack(message)))) == message


def test_types_are_distinct() -> None:
    assert len({message.TYPE for message in MESSAGES}) == len(MESSAGES)
    assert Role("engine") is Role.ENGINE
