"""Messages about limits name the run, the limit and what the reference did."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from search.domains.compile.run_limits import RETRY_FACTOR, limit_message


def test_a_time_limit_is_named_with_the_retry() -> None:
    ran: Any = SimpleNamespace(limit="seconds")
    message = limit_message(2, ran, 1.5)
    assert message.startswith("run 2 exceeded its time limit of 1.5 s")
    assert f"{RETRY_FACTOR} times" in message


def test_other_limits_are_named() -> None:
    ran: Any = SimpleNamespace(limit="output")
    assert limit_message(0, ran, 1.0).startswith("run 0 reached its limit of output")
