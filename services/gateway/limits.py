"""Token buckets: how often a key may ask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from services.errors import TooManyRequests


class RateLimiter:
    """A bucket for each (key, sort of request), refilled evenly; a bucket holds one minute's worth."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[
            tuple[str, str], tuple[float, float]
        ] = {}  # (tokens left, when that was)

    def take(self, key_id: str, sort: str, *, per_minute: int, count: int = 1) -> None:
        """Raises TooManyRequests, which says when to come back."""
        now = self._clock()
        tokens = self._tokens(key_id, sort, per_minute, now)
        if tokens < count:
            self._buckets[key_id, sort] = (tokens, now)
            if count > per_minute:
                raise TooManyRequests(
                    f"{count} {sort} at once came; this key may send {per_minute} a minute",
                    fix="send fewer at once",
                    retry_after_s=60.0,
                    headers=self.headers(key_id, sort, per_minute=per_minute),
                )
            raise TooManyRequests(
                f"this key may send {per_minute} {sort} a minute",
                fix="wait as long as Retry-After says; SDK and CLI do so by themselves",
                retry_after_s=max(0.05, (count - tokens) * 60.0 / per_minute),
                headers=self.headers(key_id, sort, per_minute=per_minute),
            )
        if len(self._buckets) > 50_000:
            self._buckets.clear()
        self._buckets[key_id, sort] = (tokens - count, now)

    def headers(self, key_id: str, sort: str, *, per_minute: int) -> dict[str, str]:
        """RateLimit fields (draft-ietf-httpapi-ratelimit-headers): what is left, and in how many seconds all is back."""
        tokens = self._tokens(key_id, sort, per_minute, self._clock())
        full_in_s = math.ceil((per_minute - tokens) * 60.0 / per_minute)
        return {
            "RateLimit-Policy": f'"{sort}";q={per_minute};w=60',
            "RateLimit": f'"{sort}";r={int(tokens)};t={full_in_s}',
        }

    def _tokens(self, key_id: str, sort: str, per_minute: int, now: float) -> float:
        tokens, since = self._buckets.get((key_id, sort), (float(per_minute), now))
        return min(float(per_minute), tokens + (now - since) * per_minute / 60.0)
