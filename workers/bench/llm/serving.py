"""Engine in service: memory of long prompts, first token after a known prefix, cancel, soak."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from search.text_model import CacheBudget, CachePolicy, Sampling
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.model import engine
from workers.bench.stats import quantile, quantiles_ms
from workers.llm.engine import Engine, Options
from workers.llm.handle import Handle

SYSTEM_TOKENS = 580
"""Pinned beginning of the prompt of `prefix`."""


def resident_mb() -> float:
    """Return the resident memory of this process in MB (10^6 bytes)."""
    return _status("VmRSS")


def peak_mb() -> float:
    """Return the greatest resident memory since `forget_peak`, in MB."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Set the greatest resident memory to the present one."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024 / 1e6


def memory(*, prompts: Sequence[Sequence[int]], slots: int) -> Iterator[dict[str, Any]]:
    """Yield the memory above the weights while long prompts are read and answered at once."""
    own = engine(
        options=Options(sequences=len(prompts), slots=slots, threads=1, snapshot_bytes=0)
    )
    # Scratch of the first calls belongs to the engine, not to these prompts' cache.
    _answer(own, [prompts[0][:300]], slots=slots, tokens=2)
    gc.collect()
    forget_peak()
    before = resident_mb()
    clock = CpuClock()
    _answer(own, prompts, slots=slots, tokens=8)
    per_slot = own.config.layers * own.config.kv_heads * own.config.head_size * 2 * 2
    yield {
        "sequences": len(prompts),
        "prompt_tokens": len(prompts[0]),
        "slots": slots,
        "above_weights_mb": round(peak_mb() - before, 1),
        "keys_and_values_mb": round(len(prompts) * slots * per_slot / 1e6, 1),
        "full_cache_mb": round(len(prompts) * len(prompts[0]) * per_slot / 1e6, 1),
        "cpu_s": round(clock.seconds(), 1),
    }
    own.close()


def _answer(
    own: Engine, prompts: Sequence[Sequence[int]], *, slots: int, tokens: int
) -> None:
    """Generate after all prompts at once, by hand."""
    budget = CacheBudget(policy=CachePolicy.H2O, slots=slots)
    handles = [
        own.submit_tokens(
            prompt, [False] * len(prompt), Sampling(max_tokens=tokens), budget
        )
        for prompt in prompts
    ]
    while not all(handle.over for handle in handles):
        own.step()
        for handle in handles:
            handle.take()


def prefix(
    *, prompt: Sequence[int], repeats: int, limit_s: float = 1.5
) -> Iterator[dict[str, Any]]:
    """Yield the time to the first token of a prompt whose pinned beginning is new, and known."""
    own = engine(options=Options(sequences=1, slots=2048, threads=1))
    tail = len(prompt) - SYSTEM_TOKENS
    pinned = [True] * SYSTEM_TOKENS + [False] * tail
    own.step()
    cold: list[tuple[float, float]] = []
    warm: list[tuple[float, float]] = []
    for number in range(repeats):
        for times in (cold, warm):
            # Another first token, and so another beginning, in each repeat.
            ids = [number, *prompt[1:]]
            times.append(_first_token(own, ids, pinned))
    own.close()
    yield {
        "prompt_tokens": len(prompt),
        "pinned_tokens": SYSTEM_TOKENS,
        "repeats": repeats,
        "limit_s": limit_s,
        **{
            f"{name}_{kind}_s": round(quantile([t[i] for t in times], 0.5), 3)
            for name, times in (("new", cold), ("known", warm))
            for i, kind in enumerate(("cpu", "wall"))
        },
        "known_wall_max_s": round(max(wall for _, wall in warm), 3),
    }


def _first_token(
    own: Engine, ids: Sequence[int], pinned: Sequence[bool]
) -> tuple[float, float]:
    """Return CPU and wall seconds to the first token."""
    clock, began = CpuClock(), time.perf_counter()
    handle = own.submit_tokens(ids, pinned, Sampling(max_tokens=1))
    for _ in handle:
        break
    taken = clock.seconds(), time.perf_counter() - began
    own.step()
    return taken


def cancel(*, prompt: Sequence[int], count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the time from a cancel to the end of the generation and to the return of its row."""
    rng = random.Random(f"cancel {seed}")
    own = engine(options=Options(sequences=8, slots=512, threads=1, ahead=10_000))
    own.start()
    ends, rows, steps = [], [], []
    handles = [_long(own, prompt) for _ in range(8)]
    for handle in handles:
        handle.take(60.0)
    for number in range(count):
        chosen = rng.randrange(8)
        steps += _step_times(handles[(chosen + 1) % 8], 6)
        time.sleep(rng.uniform(0, 0.05))
        began = time.perf_counter()
        handles[chosen].cancel()
        while not handles[chosen].over:
            time.sleep(0.0002)
        ends.append(time.perf_counter() - began)
        while own.load[0] == 8:
            time.sleep(0.0002)
        rows.append(time.perf_counter() - began)
        if number + 1 < count:
            handles[chosen] = _long(own, prompt)
            handles[chosen].take(60.0)
    own.close()
    yield {
        "cancels": count,
        "streams": 8,
        "ended": quantiles_ms(ends),
        "row_freed": quantiles_ms(rows),
        "step": quantiles_ms(steps),
    }


def _long(own: Engine, prompt: Sequence[int]) -> Handle:
    budget = CacheBudget(policy=CachePolicy.H2O, slots=256)
    return own.submit_tokens(
        prompt, [False] * len(prompt), Sampling(max_tokens=7000), budget
    )


def _step_times(handle: Handle, count: int) -> list[float]:
    """Return the times between tokens of a stream."""
    handle.take(10.0)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        handle.take(10.0)
        times.append(time.perf_counter() - began)
    return times


def soak(
    *, prompts: Sequence[Sequence[int]], seconds: float, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield tokens and the slope of memory while 8 readers generate, cancel and start again."""
    own = engine(options=Options(sequences=8, slots=512, threads=1))
    own.start()
    end = time.monotonic() + seconds
    counts: list[int] = []
    failures: list[str] = []
    readers = [
        threading.Thread(
            target=_read_on,
            args=(own, prompts, random.Random(f"soak {seed} {i}"), end, counts, failures),
        )
        for i in range(8)
    ]
    for reader in readers:
        reader.start()
    samples: list[tuple[float, float]] = []
    began = time.monotonic()
    while time.monotonic() < end:
        time.sleep(min(1.0, seconds / 60))
        samples.append((time.monotonic() - began, resident_mb()))
    for reader in readers:
        reader.join()
    own.close()
    # The first third fills the cache.
    settled = samples[len(samples) // 3 :]
    slope, interval = _slope(settled)
    yield {
        "seconds": seconds,
        "streams": 8,
        "requests": len(counts),
        "tokens": sum(counts),
        "failures": failures[:5],
        "slope_mb_per_minute": round(60 * slope, 3),
        "slope_interval": [round(60 * bound, 3) for bound in interval],
        "settled_mb": [
            round(settled[0][1], 1),
            round(max(mb for _, mb in settled), 1),
            round(settled[-1][1], 1),
        ],
    }


def _read_on(
    own: Engine,
    prompts: Sequence[Sequence[int]],
    rng: random.Random,
    end: float,
    counts: list[int],
    failures: list[str],
) -> None:
    """Generate until the end; each fifth request is cancelled on its way."""
    while time.monotonic() < end:
        prompt = prompts[rng.randrange(len(prompts))]
        length = rng.randrange(20, 200)
        stop_at = rng.randrange(1, length) if rng.random() < 0.2 else length
        count = 0
        try:
            handle = own.submit_tokens(
                prompt,
                [False] * len(prompt),
                Sampling(max_tokens=length, temperature=0.8, seed=rng.randrange(1000)),
                CacheBudget(policy=CachePolicy.H2O, slots=256),
            )
            for _ in handle:
                count += 1
                if count >= stop_at or time.monotonic() >= end:
                    handle.cancel()
                    break
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            return
        counts.append(count)


def _slope(samples: Sequence[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Return the least-squares slope per second, and its 95 % interval from blocks of samples.

    Neighbouring samples depend on each other: the slope is taken over means of ten blocks.
    """
    size = max(len(samples) // 10, 1)
    blocks = [samples[i : i + size] for i in range(0, len(samples) - size + 1, size)]
    xs = [sum(t for t, _ in block) / len(block) for block in blocks]
    ys = [sum(mb for _, mb in block) / len(block) for block in blocks]
    n = len(xs)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum(
        (y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True)
    )
    error = (rest / max(n - 2, 1) / spread) ** 0.5
    # Student's t at 8 degrees of freedom.
    return slope, (slope - 2.306 * error, slope + 2.306 * error)
