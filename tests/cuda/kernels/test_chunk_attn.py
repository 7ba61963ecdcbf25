"""Attention of a chunk with column sums: native code against the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cuda.kernels import reference
from cuda.kernels.chunk_attn import chunk_attn

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


def drawn(seed: int, dtype: torch.dtype, cache_dtype: torch.dtype) -> dict[str, object]:
    """Draw shapes, some columns to hide, and weights that may be zero."""
    draw = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    kv_heads, group = int(draw.integers(1, 4)), int(draw.integers(1, 5))
    chunk, before = int(draw.integers(1, 70)), int(draw.integers(0, 300))
    size = int(draw.choice([64, 80, 96, 128, 8, 20, 72]))
    columns = before + chunk
    hidden = torch.rand(kv_heads, columns, generator=generator) < 0.1
    hidden[:, before:] = False
    weights = torch.rand(chunk, generator=generator)
    weights[: int(draw.integers(0, chunk + 1))] = 0
    return {
        "query": torch.randn(kv_heads, group, chunk, size, generator=generator).to(dtype),
        "keys": torch.randn(kv_heads, columns, size, generator=generator).to(cache_dtype),
        "values": torch.randn(kv_heads, columns, size, generator=generator).to(
            cache_dtype
        ),
        "before": before,
        "hidden": hidden if seed % 3 else None,
        "weights": weights if seed % 2 else None,
        "pool": 5 if seed % 5 == 0 else 1,
    }


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("seed", range(10))
def test_native_equals_the_reference(tier: str, dtype: torch.dtype, seed: int) -> None:
    given = drawn(seed, torch.float32 if seed % 4 == 0 else dtype, dtype)
    out, sums = chunk_attn(**given)
    wanted, wanted_sums = reference.chunk_attn(**given)
    assert out.dtype == wanted.dtype
    torch.testing.assert_close(out, wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
    torch.testing.assert_close(sums, wanted_sums, atol=1e-4, rtol=1e-4)


def test_sums_are_the_attention_of_all_queries(tier: str) -> None:
    given = drawn(7, torch.float32, torch.float32) | {"weights": None, "pool": 1}
    _, sums = chunk_attn(**given)
    # Every query's probabilities sum to 1.
    group, chunk = given["query"].shape[1:3]
    torch.testing.assert_close(
        sums.sum(1), torch.full((len(sums),), float(group * chunk))
    )
    assert bool((sums[given["hidden"]] == 0).all())


def test_queries_do_not_see_later_tokens(tier: str) -> None:
    given = drawn(1, torch.float32, torch.float32)
    first, _ = chunk_attn(**given)
    for name in ("keys", "values"):
        given[name][:, -1] = torch.nan if name == "keys" else 1e9
    second, _ = chunk_attn(**given)
    assert torch.equal(first[:, :, :-1], second[:, :, :-1])
    assert second[:, :, -1].isnan().all()


def test_threads_change_nothing(native: object, monkeypatch: pytest.MonkeyPatch) -> None:
    given = drawn(4, torch.float32, torch.bfloat16)
    alone = chunk_attn(**given)
    monkeypatch.setattr("cuda.kernels.native.library.THREAD_WORK", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert all(torch.equal(a, b) for a, b in zip(alone, chunk_attn(**given), strict=True))


def test_shapes_that_do_not_fit_are_errors() -> None:
    given = drawn(1, torch.float32, torch.float32)
    for name, wrong in [
        ("keys", given["keys"][:, 1:]),
        ("values", given["values"][:, 1:]),
        ("weights", torch.ones(999)),
        ("hidden", torch.ones(1, 1, dtype=torch.bool)),
    ]:
        with pytest.raises(ValueError, match=f"{name}: expected"):
            chunk_attn(**(given | {name: wrong}))
    with pytest.raises(ValueError, match="pool: expected an odd number, got 2"):
        chunk_attn(**(given | {"pool": 2}))
