"""Messages between the checker and its process."""

from __future__ import annotations

import json

import pytest

from search.domains.ilp.tagged import Tagged, pack
from search.domains.ilp.verify.messages import (
    ANSWERS,
    COMMANDS,
    Check,
    Checked,
    Compare,
    Compared,
    ProofEnded,
    Prove,
    Refused,
)

SENT: list[Tagged] = [
    Compare(path="m.npz", scalars={"offset": 0.0}),
    Check(path="c.json", claimed=None),
    Prove(path="c.json", has_incumbent=True, seconds=1.5),
    Compared(),
    Refused(reason="two readings differ"),
    Checked(verification="{}"),
    ProofEnded(claim="optimal", bound=3.0, nodes=7, has_point=False),
]


@pytest.mark.parametrize("message", SENT, ids=lambda message: message.TYPE)
def test_a_message_survives_the_pipe(message: Tagged) -> None:
    data = json.loads(json.dumps(pack(message)))
    is_command = isinstance(message, Compare | Check | Prove)
    again: Tagged = COMMANDS.unpack(data) if is_command else ANSWERS.unpack(data)
    assert again == message


def test_commands_are_no_answers() -> None:
    with pytest.raises(ValueError, match="type"):
        ANSWERS.unpack(pack(Check(path="c.json", claimed=None)))
