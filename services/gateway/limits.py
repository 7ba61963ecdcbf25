"""Rate limits per API key, as token buckets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from services.errors import TooManyRequests


class RateLimiter:
    """One bucket per (key, category), refilled evenly; it holds one minute's worth of tokens."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # (key id, category) → (tokens left, time of that count)
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, key_id: str, sort: str, *, per_minute: int, count: int = 1) -> None:
        """Take `count` tokens. Raises TooManyRequests with the time to wait."""
        now = self._clock()
        tokens = self._tokens(key_id, sort, per_minute, now)
        if tokens < count:
            self._buckets[key_id, sort] = (tokens, now)
            if count > per_minute:
                raise TooManyRequests(
                    f"{sort}_per_minute: expected at most {per_minute}, got {count} at once",
                    fix="send smaller batches",
                    retry_after_s=60.0,
                    headers=self.headers(key_id, sort, per_minute=per_minute),
                )
            raise TooManyRequests(
                f"{sort}_per_minute: expected at most {per_minute} with this key, got more",
                fix="wait for Retry-After seconds; the SDK and the CLI do so by themselves",
                retry_after_s=max(0.05, (count - tokens) * 60.0 / per_minute),
                headers=self.headers(key_id, sort, per_minute=per_minute),
            )
        if len(self._buckets) > 50_000:
            self._buckets.clear()
        self._buckets[key_id, sort] = (tokens - count, now)

    def give_back(self, key_id: str, sort: str, *, per_minute: int, count: int) -> None:
        """Return tokens that were taken and not used; a negative `count` takes more.

        The bucket may become negative: the next callers wait until it is filled again.
        """
        now = self._clock()
        tokens = self._tokens(key_id, sort, per_minute, now)
        self._buckets[key_id, sort] = (min(float(per_minute), tokens + count), now)

    def headers(self, key_id: str, sort: str, *, per_minute: int) -> dict[str, str]:
        """Return the RateLimit headers (draft-ietf-httpapi-ratelimit-headers).

        They say how many tokens are left, and in how many seconds the bucket is full again.
        """
        tokens = self._tokens(key_id, sort, per_minute, self._clock())
        full_in_s = math.ceil((per_minute - tokens) * 60.0 / per_minute)
        return {
            "RateLimit-Policy": f'"{sort}";q={per_minute};w=60',
            "RateLimit": f'"{sort}";r={max(0, int(tokens))};t={full_in_s}',
        }

    def _tokens(self, key_id: str, sort: str, per_minute: int, now: float) -> float:
        tokens, since = self._buckets.get((key_id, sort), (float(per_minute), now))
        return min(float(per_minute), tokens + (now - since) * per_minute / 60.0)
