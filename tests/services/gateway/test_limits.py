"""Token buckets: tokens are taken at once, and what was not used can be given back."""

from __future__ import annotations

import pytest

from services.errors import TooManyRequests
from services.gateway.limits import RateLimiter


def test_what_is_given_back_can_be_taken_again() -> None:
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    limiter.take("k", "text_tokens", per_minute=60, count=60)
    with pytest.raises(TooManyRequests) as caught:
        limiter.take("k", "text_tokens", per_minute=60, count=10)
    assert caught.value.retry_after_s == pytest.approx(10)
    limiter.give_back("k", "text_tokens", per_minute=60, count=15)
    limiter.take("k", "text_tokens", per_minute=60, count=10)
    limiter.give_back("k", "text_tokens", per_minute=60, count=10_000)
    assert "r=60" in limiter.headers("k", "text_tokens", per_minute=60)["RateLimit"]


def test_more_than_was_taken_makes_the_next_callers_wait() -> None:
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    limiter.take("k", "text_tokens", per_minute=60, count=1)
    limiter.give_back("k", "text_tokens", per_minute=60, count=-119)
    assert "r=0" in limiter.headers("k", "text_tokens", per_minute=60)["RateLimit"]
    with pytest.raises(TooManyRequests) as caught:
        limiter.take("k", "text_tokens", per_minute=60)
    assert caught.value.retry_after_s == pytest.approx(61)
    now[0] = 61
    limiter.take("k", "text_tokens", per_minute=60)
