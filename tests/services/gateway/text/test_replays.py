"""Answers kept by idempotency key: one answer per key and body, bounded in time and bytes."""

from __future__ import annotations

import pytest

from services.errors import Conflict
from services.gateway.text import replays
from services.gateway.text.replays import LIFE_S, Replays


def test_a_key_stands_for_one_body_of_one_tenant() -> None:
    kept = Replays()
    assert kept.begin("a", "k", b"body") is None
    with pytest.raises(Conflict, match="one request at a time"):
        kept.begin("a", "k", b"body")
    kept.keep("a", "k", b"answer")
    assert kept.begin("a", "k", b"body") == b"answer"
    with pytest.raises(Conflict, match="got another"):
        kept.begin("a", "k", b"other")
    assert kept.begin("b", "k", b"other") is None


def test_what_was_not_answered_can_be_repeated() -> None:
    kept = Replays()
    kept.begin("a", "k", b"body")
    kept.forget("a", "k")
    assert kept.begin("a", "k", b"another body") is None
    kept.keep("a", "k", b"answer")
    kept.forget("a", "k")  # an answer stays
    assert kept.begin("a", "k", b"another body") == b"answer"
    kept.keep("a", "unknown", b"answer")
    kept.forget("a", "unknown")


def test_answers_expire() -> None:
    now = [0.0]
    kept = Replays(clock=lambda: now[0])
    kept.begin("a", "old", b"1")
    kept.keep("a", "old", b"answer")
    now[0] = LIFE_S - 1
    kept.begin("a", "new", b"1")
    assert kept.begin("a", "old", b"1") == b"answer"
    now[0] = LIFE_S + 1
    assert kept.begin("a", "old", b"2") is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MAX_BYTES", 10_000)
    kept = Replays()
    for number in range(200):
        kept.begin("a", str(number), b"1")
        kept.keep("a", str(number), b"x" * 1000)
        assert kept._bytes <= 10_000
    assert kept.begin("a", "0", b"1") is None
    assert kept.begin("a", "199", b"1") == b"x" * 1000
    assert kept._bytes == sum(
        replays._OVERHEAD + len(entry.answer or b"") for entry in kept._entries.values()
    )


def test_requests_that_never_end_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MAX_BYTES", 10_000)
    kept = Replays()
    for number in range(1000):
        kept.begin("a", str(number), b"1")
        assert kept._bytes <= 10_000
