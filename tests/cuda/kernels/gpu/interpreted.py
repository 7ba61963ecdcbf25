"""Triton kernels against the reference, in Triton's interpreter on CPU tensors.

Not collected by name: `test_interpreted.py` runs it in a process of its own, where TRITON_INTERPRET
is set before triton is imported. The interpreter takes about 50 ms of CPU per program, so sizes are
small; it finds no missing barrier.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from cuda.kernels import h2o_decode as launcher
from cuda.kernels import reference
from cuda.kernels.colsum import colsum
from cuda.kernels.h2o_decode import Plan, h2o_decode, launch
from cuda.kernels.prefill_attn import prefill_attn
from cuda.kernels.rmsnorm import rmsnorm
from cuda.kernels.rope_qk import rope_qk
from cuda.kernels.slot_gather import slot_gather
from cuda.kernels.slots import SlotCache, Victim
from cuda.kernels.swiglu import swiglu
from tests.cuda.kernels.cases import Case, compare, copied, random_case

assert os.environ["TRITON_INTERPRET"] == "1"
# Logits of hidden columns are -inf, and numpy mentions what they make.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


@pytest.fixture(autouse=True)
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KERNELS", "triton")


def small(seed: int, dtype: torch.dtype = torch.float32, **values: object) -> Case:
    bounds = {"slots": (6, 9), "heads": 2, "sequences": 2, "sizes": (16, 20), "more": 3}
    bounds |= {"groups": (1, 3)}
    return random_case(seed, dtype=dtype, **(bounds | values))


@pytest.mark.parametrize("victim", list(Victim)[1:])
def test_decode_equals_the_reference(victim: Victim) -> None:
    case = small(victim)
    everyone = torch.full_like(case.rules.victim, int(victim))
    compare(
        replace(case, rules=replace(case.rules, victim=everyone)),
        h2o_decode,
        tolerance=1e-5,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_decode_in_other_dtypes(dtype: torch.dtype) -> None:
    compare(small(6, dtype), h2o_decode, tolerance=TOLERANCE[dtype])


def test_decode_of_many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "BLOCK", 16)
    case = small(7, slots=(36, 36), heads=1, sequences=1)
    compare(replace(case, steps=40), h2o_decode, tolerance=1e-5)


@pytest.mark.parametrize("parts", [2, 3])
def test_split_decode_equals_the_reference(
    parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "BLOCK", 16)
    case = small(8, slots=(34, 34), heads=1, sequences=1)
    compare(
        replace(case, steps=36),
        lambda *given: launch(*given, Plan(parts=parts)),
        tolerance=1e-5,
    )


def test_poisoned_scores_go_first() -> None:
    case = small(9, sizes=(16,), heads=1, sequences=1)
    caches = [copied(case.cache) for _ in range(2)]
    for step, (query, key, value) in enumerate(case.tokens()):
        if step == case.cache.slots:
            query[:, :, 0, 3] = torch.nan
        at = torch.full((len(case.rows),), step, dtype=torch.int32)
        for decode, cache in zip((h2o_decode, reference.h2o_decode), caches, strict=True):
            decode(query, key, value, cache, case.rows, at, case.rules)
        assert torch.equal(caches[0].write, caches[1].write)


def test_a_sequence_without_a_free_slot_gets_nan() -> None:
    case = small(10, sizes=(16,), heads=1, sequences=1, groups=(2,))
    full = replace(
        case.rules,
        victim=torch.zeros_like(case.rules.victim),
        capacity=torch.full_like(case.rules.capacity, 4),
    )
    for step, (query, key, value) in enumerate(case.tokens()[:5]):
        before = copied(case.cache)
        at = torch.full((len(case.rows),), step, dtype=torch.int32)
        out = h2o_decode(query, key, value, case.cache, case.rows, at, full)
        assert bool(out.isnan().all()) == (step == 4)
        assert out.isfinite().all() or step == 4
    for name, tensor in vars(before).items():
        assert torch.equal(getattr(case.cache, name), tensor), name


def chunk(
    dtype: torch.dtype, before: int, length: int, size: int = 20
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(before)
    shapes = [(2, 3, length, size), *[(2, before + length, size)] * 2]
    return [torch.randn(*shape, generator=generator).to(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("before", [0, 21])
def test_prefill_and_column_sums(dtype: torch.dtype, before: int) -> None:
    query, keys, values = chunk(dtype, before, 18)
    hidden = torch.zeros(2, before + 18, dtype=torch.bool)
    hidden[0, 1 : before // 2] = hidden[1, 3 : before // 2] = True
    tolerance = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    masked = {"before": before, "hidden": hidden}
    out, lse = prefill_attn(query, keys, values, **masked)
    wanted, wanted_lse = reference.prefill_attn(query, keys, values, **masked)
    torch.testing.assert_close(out, wanted, **tolerance)
    torch.testing.assert_close(lse, wanted_lse, atol=1e-4, rtol=1e-4)
    weights = torch.linspace(0, 1, 18)
    for options in ({}, {"weights": weights, "pool": 3}):
        sums = colsum(query, keys, lse, **masked, **options)
        torch.testing.assert_close(
            sums,
            reference.colsum(query, keys, lse, **masked, **options),
            atol=1e-5,
            rtol=1e-5,
        )
    # The first queries weigh nothing: the same as leaving them out.
    late = (torch.arange(18) >= 11).float()
    window = reference.colsum(query, keys, lse, weights=late, **masked)
    sums = colsum(query, keys, lse, first_query=11, **masked)
    torch.testing.assert_close(sums, window, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slots_are_gathered_in_place(dtype: torch.dtype) -> None:
    cache = SlotCache.empty(2, 2, 70, 20, dtype=dtype)
    cache.keys.normal_()
    cache.values.normal_()
    cache.scores.uniform_()
    cache.positions[:] = torch.arange(70, dtype=torch.int32)
    cache.pinned[:, :, ::7] = True
    theirs = copied(cache)
    kept = torch.stack([torch.randperm(70)[:40].sort().values for _ in range(2)])
    slot_gather(cache, 1, kept)
    reference.slot_gather(theirs, 1, kept)
    for name, tensor in vars(theirs).items():
        assert torch.equal(getattr(cache, name), tensor), name
    with pytest.raises(ValueError, match="expected ascending slots"):
        slot_gather(cache, 1, kept.flip(1))
    with pytest.raises(ValueError, match=r"kept: expected \[2, at most 70\]"):
        slot_gather(cache, 1, kept[:1])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_small_ops(dtype: torch.dtype) -> None:
    tolerance = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    x, weight = torch.randn(3, 40).to(dtype), torch.rand(40)
    torch.testing.assert_close(
        rmsnorm(x, weight, 1e-5), reference.rmsnorm(x, weight, 1e-5), **tolerance
    )
    torch.testing.assert_close(swiglu(x), reference.swiglu(x), **tolerance)
    mixed = torch.randn(2, 5, 24).to(dtype)
    angle = torch.rand(2, 12) * 6
    wanted = mixed.clone()
    rope_qk(mixed, angle.cos(), angle.sin(), 4)
    reference.rope_qk(wanted, angle.cos(), angle.sin(), 4)
    torch.testing.assert_close(mixed, wanted, **tolerance)
