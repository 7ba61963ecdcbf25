"""The native step of decode attention against the reference, and the choice between them."""

from __future__ import annotations

import pytest
import torch

from cuda.kernels import dispatch, reference
from cuda.kernels.h2o_decode import h2o_decode
from cuda.kernels.native.library import Library, library, require_library
from cuda.kernels.slots import EvictionRows, SlotCache, Victim
from tests.cuda.kernels.cases import compare, copied, random_case

DTYPES = {
    torch.float32: 1e-5,
    torch.bfloat16: 2e-2,
    torch.float16: 2e-3,
}


def rules(victim: Victim, **values: float) -> EvictionRows:
    known = {"capacity": 8, "recent": 2, "sinks": 0, "decay": 1.0} | values
    return EvictionRows(
        victim=torch.tensor([victim], dtype=torch.int32),
        **{
            name: torch.tensor(
                [value], dtype=torch.float32 if name == "decay" else torch.int32
            )
            for name, value in known.items()
        },
    )


def steps(
    cache: SlotCache, rule: EvictionRows, count: int, decode=h2o_decode
) -> torch.Tensor:
    """Decode `count` equal tokens in row 0, so that all that may tie does."""
    kv_heads, size = cache.keys.shape[1], cache.keys.shape[3]
    key = torch.ones(1, kv_heads, size)
    for step in range(count):
        out = decode(
            torch.ones(1, kv_heads, 2, size),
            key,
            key,
            cache,
            torch.tensor([0]),
            torch.tensor([step], dtype=torch.int32),
            rule,
        )
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(8))
def test_native_equals_the_reference(tier: str, dtype: torch.dtype, seed: int) -> None:
    compare(random_case(seed, dtype=dtype), h2o_decode, tolerance=DTYPES[dtype])


@pytest.mark.parametrize("seed", range(4))
def test_the_cache_may_have_another_dtype(tier: str, seed: int) -> None:
    case = random_case(seed, cache_dtype=torch.bfloat16)
    compare(case, h2o_decode, tolerance=1e-5)


@pytest.mark.parametrize("seed", range(20, 26))
def test_invariants_hold_at_every_step(native: Library, seed: int) -> None:
    case = random_case(seed, groups=(3,))
    cache, rules = case.cache, case.rules
    seen = torch.zeros(len(case.rows))
    for step, (query, key, value) in enumerate(case.tokens()):
        at = torch.full((len(case.rows),), step, dtype=torch.int32)
        h2o_decode(query, key, value, cache, case.rows, at, rules)
        if step == 2:
            cache.pinned[:, :, 2] = True
        for i, row in enumerate(case.rows.tolist()):
            filled = int(cache.filled[row])
            assert filled == min(step + 1, int(rules.capacity[i]))
            held = cache.positions[row, :, :filled]
            assert all(len(set(one.tolist())) == filled for one in held)
            recent = range(max(0, step - int(rules.recent[i]) + 1), step + 1)
            kept = {*recent, *range(min(step + 1, int(rules.sinks[i])))}
            kept |= {2} if step >= 2 else set()
            assert all(kept <= set(one.tolist()) for one in held)
            # Each step hands out one unit per query head; fading and eviction take away.
            seen[i] += case.group
            assert bool((cache.scores[row, :, :filled].sum(-1) <= seen[i] + 1e-3).all())


def test_neighbours_in_the_batch_change_nothing(tier: str) -> None:
    case = next(one for one in map(random_case, range(50)) if len(one.rows) == 4)
    together, alone = copied(case.cache), copied(case.cache)
    for step, (query, key, value) in enumerate(case.tokens()):
        at = torch.tensor([step], dtype=torch.int32)
        outs = h2o_decode(
            query, key, value, together, case.rows, at.expand(4), case.rules
        )
        for i in range(4):
            one = EvictionRows(
                **{name: each[i : i + 1] for name, each in vars(case.rules).items()}
            )
            out = h2o_decode(
                query[i : i + 1],
                key[i : i + 1],
                value[i : i + 1],
                alone,
                case.rows[i : i + 1],
                at,
                one,
            )
            assert torch.equal(out[0], outs[i])
    for name, tensor in vars(alone).items():
        assert torch.equal(getattr(together, name), tensor), name


def test_threads_change_nothing(native: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cuda.kernels.native.library.THREAD_WORK", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    compare(random_case(5), h2o_decode, tolerance=1e-5)


@pytest.mark.parametrize("victim", [Victim.SUM, Victim.DECAY, Victim.LAST, Victim.AGE])
def test_the_oldest_of_equals_goes(tier: str, victim: Victim) -> None:
    cache = SlotCache.empty(1, 2, 8, 64, dtype=torch.float32)
    # Every step attends evenly, so the newest queries tie; sums favour old tokens.
    steps(cache, rules(victim, sinks=1), 8)
    if victim in (Victim.LAST, Victim.AGE):
        assert cache.write[0].tolist() == [1, 1]
    else:
        assert cache.write[0].tolist() == [5, 5]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_poisoned_numbers_leave_a_choice_that_may_go(tier: str, bad: float) -> None:
    case = random_case(11, slots=(12, 20))
    caches = [
        SlotCache.empty(*case.cache.keys.shape, dtype=torch.float32) for _ in range(2)
    ]
    for step, (query, key, value) in enumerate(case.tokens()):
        if step == 9:
            query[:, :, 0, 3] = bad
        at = torch.full((len(case.rows),), step, dtype=torch.int32)
        outs = [
            decode(query, key, value, cache, case.rows, at, case.rules)
            for decode, cache in zip(
                (h2o_decode, reference.h2o_decode), caches, strict=True
            )
        ]
        assert torch.equal(outs[0].isnan(), outs[1].isnan())
        assert torch.equal(caches[0].scores.isnan(), caches[1].scores.isnan())
        assert torch.equal(caches[0].write, caches[1].write)


def test_without_eviction_a_full_cache_is_an_error(tier: str) -> None:
    cache = SlotCache.empty(1, 2, 8, 64, dtype=torch.float32)
    steps(cache, rules(Victim.NONE), 8)
    before = cache.scores.clone()
    for decode in (h2o_decode, reference.h2o_decode):
        with pytest.raises(ValueError, match="expected a free slot among 8"):
            steps(cache, rules(Victim.NONE), 1, decode)
    assert torch.equal(cache.scores, before)


def test_rows_and_capacities_outside_the_cache_are_errors(native: Library) -> None:
    cache = SlotCache.empty(1, 2, 8, 64, dtype=torch.float32)
    with pytest.raises(ValueError, match="capacities up to 8"):
        steps(cache, rules(Victim.SUM, capacity=9), 1)
    token = torch.ones(1, 2, 64)
    with pytest.raises(ValueError, match=r"expected rows below 1.* got rows \[4\]"):
        h2o_decode(token[:, :, None], token, token, cache, torch.tensor([4]),
                   torch.zeros(1, dtype=torch.int32), rules(Victim.SUM))  # fmt: skip


@pytest.mark.parametrize("wrong", ["query", "key", "heads", "rules"])
def test_shapes_that_do_not_fit_are_errors(wrong: str) -> None:
    cache = SlotCache.empty(2, 2, 8, 64, dtype=torch.float32)
    query, token = torch.ones(1, 2, 1, 64), torch.ones(1, 2, 64)
    rows, rule = torch.tensor([0]), rules(Victim.SUM)
    if wrong == "query":
        query = torch.ones(1, 2, 1, 32)
    if wrong == "key":
        token = torch.ones(1, 1, 64)
    if wrong == "heads":
        query, token = torch.ones(1, 4, 1, 64), torch.ones(1, 4, 64)
    if wrong == "rules":
        rows, query, token = (
            torch.tensor([0, 1]),
            query.repeat(2, 1, 1, 1),
            token.repeat(2, 1, 1),
        )
    with pytest.raises(ValueError, match="expected"):
        h2o_decode(query, token, token, cache, rows, torch.zeros(len(rows)), rule)


def test_the_variable_forces_an_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert dispatch.backend(torch.ones(1)) is dispatch.Backend.REFERENCE
    monkeypatch.setenv(dispatch.VARIABLE, "fastest")
    with pytest.raises(ValueError, match="expected one of reference, native, triton"):
        dispatch.backend(torch.ones(1))
    monkeypatch.setenv(dispatch.VARIABLE, "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="TRITON_INTERPRET"):
        dispatch.backend(torch.ones(1))


def test_the_reference_serves_where_nothing_can_be_built(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise OSError("no C++ compiler built them")

    monkeypatch.setattr("cuda.kernels.native.library.built_library", refuse)
    for cached in (library, require_library):
        cached.cache_clear()
    try:
        for _ in range(2):
            assert dispatch.backend(torch.ones(1)) is dispatch.Backend.REFERENCE
        assert [one.levelname for one in caplog.records] == ["WARNING"]
        monkeypatch.setenv(dispatch.VARIABLE, "native")
        with pytest.raises(OSError, match="no C"):
            dispatch.backend(torch.ones(1))
    finally:
        for cached in (library, require_library):
            cached.cache_clear()
