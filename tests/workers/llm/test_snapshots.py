"""Snapshots by bytes: least recently used go first."""

from __future__ import annotations

import torch

from search.text_model import CacheBudget, CachePolicy, ScoreRule
from tests.workers.llm import random_model
from workers.llm.kv_cache import KeyValueCache, RowState
from workers.llm.policies import Rule, resolve
from workers.llm.snapshots import Key, Snapshots


def state(tokens: int) -> RowState:
    cache = KeyValueCache(
        random_model.config(), sequences=1, slots=64, dtype=torch.float32
    )
    for layer in cache.layers:
        layer.filled[0] = tokens
    return cache.save(0)


def rule(policy: CachePolicy = CachePolicy.H2O, **changed: object) -> Rule:
    budget = CacheBudget(policy=policy, **({"slots": 20} | changed))  # type: ignore[arg-type]
    return resolve(budget, pinned=[], tokens=50, limit=64)


def key(number: int) -> Key:
    return Key.of([number, 1, 2], [True] * 3, rule())


def test_the_least_recently_used_goes_first() -> None:
    size = state(10).size_bytes
    snapshots = Snapshots(3 * size)
    for number in range(3):
        snapshots.put(key(number), state(10))
    assert snapshots.get(key(0)) is not None
    snapshots.put(key(3), state(10))
    assert [number for number in range(4) if snapshots.get(key(number))] == [0, 2, 3]
    assert snapshots.size_bytes == 3 * size
    snapshots.put(key(9), state(60))
    assert snapshots.get(key(9)) is None
    assert len(snapshots) == 3


def test_a_key_tells_apart_what_must_not_be_shared() -> None:
    same = Key.of([1, 2], [True, True], rule())
    assert same == Key.of([1, 2], [True, True], rule(slots=30))
    others = [
        Key.of([1, 3], [True, True], rule()),
        Key.of([1, 2], [True, False], rule()),
        Key.of([1, 2], [True, True], rule(decay=0.5)),
        Key.of([1, 2], [True, True], rule(score=ScoreRule.SUM)),
        Key.of([1, 2], [True, True], rule(CachePolicy.TOVA)),
        Key.of([1, 2], [True, True], rule(CachePolicy.SNAPKV)),
    ]
    assert same not in others
    assert len(set(others)) == len(others)
    streaming = Key.of([1], [True], rule(CachePolicy.STREAMING))
    assert streaming == Key.of([1], [True], rule(CachePolicy.LOCAL))
