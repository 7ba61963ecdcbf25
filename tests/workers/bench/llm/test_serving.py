"""Suites of the engine in service, on a decoder of a few numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.workers.bench.llm.tiny import CONFIG, random_model
from workers.bench.llm import serving
from workers.llm.engine import Engine, Front, Options


class Letters:
    """A tokenizer of single letters."""

    eos: frozenset[int] = frozenset()

    def encode(self, text: str) -> list[int]:
        return [ord(letter) % 50 for letter in text]

    def token_bytes(self, token: int) -> bytes:
        return bytes([65 + token % 26])


def tiny_engine(*, options: Options) -> Engine:
    def none(_: object) -> object:
        raise AssertionError

    return Engine(
        replace(CONFIG, context_tokens=8192),
        random_model(0),
        Letters(),
        Front(chat=none, bound=none),  # type: ignore[arg-type]
        # Threads of the test process stay as they are.
        replace(options, threads=None),
    )


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "engine", tiny_engine)


def prompt(tokens: int) -> list[int]:
    return [(3 * i * i + i) % 50 for i in range(tokens)]


def test_memory_counts_what_the_cache_may_hold() -> None:
    (line,) = serving.memory(prompts=[prompt(400), prompt(500)[:400]], slots=64)
    # Two layers, two heads of 8 numbers, two bytes, keys and values.
    assert line["keys_and_values_mb"] == round(2 * 64 * 2 * 2 * 8 * 2 * 2 / 1e6, 1)
    assert line["full_cache_mb"] > line["keys_and_values_mb"]
    assert 0 <= line["above_weights_mb"] < 300


def test_a_known_beginning_is_measured_apart_from_a_new_one() -> None:
    (line,) = serving.prefix(prompt=prompt(600), repeats=3)
    assert line["repeats"] == 3
    assert 0 < line["known_cpu_s"] < line["new_cpu_s"]
    assert line["known_wall_max_s"] >= line["known_wall_s"]


def test_every_cancel_ends_a_stream() -> None:
    (line,) = serving.cancel(prompt=prompt(20), count=4, seed=0)
    assert line["cancels"] == 4
    assert 0 <= line["ended"]["max_ms"] <= line["row_freed"]["max_ms"]
    assert line["step"]["p50_ms"] > 0


def test_streams_run_until_the_time_is_up_without_failures() -> None:
    prompts = [prompt(tokens) for tokens in (10, 30, 90)]
    (line,) = serving.soak(prompts=prompts, seconds=1.5, seed=0)
    assert line["requests"] > 8
    assert line["tokens"] > line["requests"]
    assert line["failures"] == []
    low, high = line["slope_interval"]
    assert low <= line["slope_mb_per_minute"] <= high


def test_a_slope_is_found_and_its_interval_covers_it() -> None:
    flat = [(float(t), 100.0 + (t * 37 % 11) / 10) for t in range(100)]
    slope, (low, high) = serving._slope(flat)
    assert low < 0 < high
    assert abs(slope) < 0.01
    rising, (low, high) = serving._slope([(t, mb + 0.5 * t) for t, mb in flat])
    assert low < 0.5 < high
    assert rising == pytest.approx(0.5, abs=0.01)
    assert low > 0.4
