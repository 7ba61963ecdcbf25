"""Rows of the cache: copies, clearing, memory that is committed where it is written."""

from __future__ import annotations

import resource

import pytest
import torch

from tests.workers.llm import random_model
from workers.llm.kv_cache import KeyValueCache, slot_bytes


def filled(cache: KeyValueCache, row: int, tokens: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    for layer in cache.layers:
        for part in (layer.keys, layer.values, layer.scores):
            shape = part[row, :, :tokens].shape
            part[row, :, :tokens] = torch.randn(shape, generator=rng).to(part.dtype)
        layer.positions[row, :, :tokens] = torch.arange(tokens, dtype=torch.int32)
        layer.pinned[row, :, : tokens // 2] = True
        layer.filled[row] = tokens
        layer.write[row] = tokens


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_copy_restores_a_row_in_any_row(dtype: torch.dtype) -> None:
    cache = KeyValueCache(random_model.config(), sequences=3, slots=20, dtype=dtype)
    filled(cache, 1, 7, 0)
    filled(cache, 2, 20, 1)
    state = cache.save(1)
    neighbour = cache.save(2)
    filled(cache, 1, 15, 2)
    cache.load(0, state)
    again = cache.save(0)
    for name, part in vars(state).items():
        assert torch.equal(part, vars(again)[name]), name
    for name, part in vars(neighbour).items():
        assert torch.equal(part, vars(cache.save(2))[name]), name
    assert cache.filled(0) == 7
    assert state.size_bytes >= 7 * slot_bytes(random_model.config(), dtype)


def test_clearing_forgets_one_row() -> None:
    cache = KeyValueCache(
        random_model.config(), sequences=2, slots=20, dtype=torch.float32
    )
    filled(cache, 0, 9, 0)
    filled(cache, 1, 9, 1)
    kept = cache.save(1)
    cache.clear(0)
    assert cache.filled(0) == 0
    assert torch.equal(cache.save(1).keys, kept.keys)


def test_memory_is_committed_where_written_and_given_back() -> None:
    """A row has room for 1 GiB here; what a process holds is what sequences filled."""
    shape = random_model.config(layers=4, head_size=64)
    cache = KeyValueCache(shape, sequences=8, slots=32_768, dtype=torch.float32)
    reserved = 8 * 32_768 * slot_bytes(shape, torch.float32)
    assert reserved > 1 << 30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    filled(cache, 3, 500, 0)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) << 10 < 100 << 20
    cache.clear(3, keep=100)
    for layer in cache.layers:
        assert bool(layer.keys[3, :, :100].any())
        # The first whole page after the slots that stay.
        assert not bool(layer.keys[3, :, 132:500].any())
    filled(cache, 3, 500, 1)
    assert cache.filled(3) == 500
