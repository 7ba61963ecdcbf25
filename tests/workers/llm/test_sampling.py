"""Drawing of tokens: distributions, filters, streams of random numbers, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from search.text_model import Sampling, TextModelError
from workers.llm import sampling

PLAIN = Sampling(max_tokens=1, temperature=1.0)
LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.06, 0.04], dtype=np.float32))


def frequencies(
    logits: NDArray[np.float32], how: Sampling, count: int = 4000
) -> NDArray[np.float64]:
    drawn = [sampling.draw(logits, how, i) for i in range(count)]
    return np.bincount(drawn, minlength=len(logits)) / count


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_temperature(temperature: float) -> None:
    expected = np.exp(LOGITS.astype(np.float64) / temperature)
    expected /= expected.sum()
    got = frequencies(LOGITS, replace(PLAIN, temperature=temperature))
    assert np.abs(got - expected).max() < 4 * 0.5 / math.sqrt(4000)


def test_temperature_zero_takes_the_first_of_the_likeliest() -> None:
    logits = np.array([0.0, 2.0, 2.0, -1.0], dtype=np.float32)
    assert {sampling.draw(logits, Sampling(max_tokens=1), i) for i in range(20)} == {1}


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.49, 1), (0.5, 1), (0.51, 2), (0.76, 3), (0.97, 5), (1.0, 5)]
)
def test_top_p_keeps_the_smallest_set_with_its_mass(top_p: float, kept: int) -> None:
    got = frequencies(LOGITS, replace(PLAIN, top_p=top_p), 1500)
    assert (got > 0).sum() == kept


@pytest.mark.parametrize(
    ("min_p", "kept"), [(0.0, 5), (0.11, 4), (0.29, 3), (0.4, 2), (1.0, 1)]
)
def test_min_p_is_relative_to_the_likeliest(min_p: float, kept: int) -> None:
    got = frequencies(LOGITS, replace(PLAIN, min_p=min_p), 1500)
    assert (got > 0).sum() == kept


def test_masked_tokens_never_come() -> None:
    logits = LOGITS.copy()
    logits[[0, 2]] = -np.inf
    got = frequencies(logits, replace(PLAIN, temperature=50.0), 500)
    assert got[0] == got[2] == 0
    assert (got[[1, 3, 4]] > 0.2).all()


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 1e6])
def test_extreme_temperatures_and_logits_stay_finite(temperature: float) -> None:
    logits = np.array([3e38, 1e38, -3e38, -np.inf], dtype=np.float32)
    assert sampling.draw(logits, replace(PLAIN, temperature=temperature), 0) in (0, 1, 2)


def test_numbers_depend_on_seed_and_index_alone() -> None:
    numbers = {
        (seed, i): sampling.uniform(seed, i) for seed in range(-3, 30) for i in range(30)
    }
    assert len(set(numbers.values())) == len(numbers)
    assert all(0 <= number < 1 for number in numbers.values())
    assert numbers[4, 7] == sampling.uniform(4, 7)
    assert abs(np.mean(list(numbers.values())) - 0.5) < 0.03


def test_logprobs_are_those_of_the_softmax() -> None:
    logprob, top = sampling.logprobs(LOGITS + 3, 2, 3)
    assert logprob == pytest.approx(math.log(0.15), abs=1e-5)
    assert [i for i, _ in top] == [0, 1, 2]
    assert [value for _, value in top] == pytest.approx(
        [math.log(0.5), math.log(0.25), math.log(0.15)], abs=1e-5
    )
    assert sampling.logprobs(LOGITS, 0, 0)[1] == ()
    assert len(sampling.logprobs(LOGITS, 0, 20)[1]) == 5


@pytest.mark.parametrize("logits", [[-np.inf, -np.inf], [np.nan, 1.0], [np.inf, 1.0]])
def test_broken_logits_are_an_error(logits: list[float]) -> None:
    with pytest.raises(TextModelError, match="logits: expected a finite maximum"):
        sampling.draw(np.array(logits, dtype=np.float32), PLAIN, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"max_tokens": 0},
        {"temperature": -0.1},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_p": 0.0},
        {"top_p": math.nan},
        {"min_p": -0.1},
        {"min_p": math.nan},
        {"top_logprobs": -1},
        {"top_logprobs": 21},
        {"stop": ("a", "")},
        {"stop": ("a",) * 17},
    ],
)
def test_refusals_name_the_field(changed: dict[str, object]) -> None:
    how = replace(PLAIN, **changed)  # type: ignore[arg-type]
    with pytest.raises(TextModelError, match=f"sampling.{next(iter(changed))}: expected"):
        sampling.check(how)
    sampling.check(PLAIN)


@pytest.mark.parametrize("spread", [0.0, 0.1, 8.0])
@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.95])
def test_top_p_of_a_large_vocabulary_equals_a_sort_of_all(
    spread: float, top_p: float
) -> None:
    rng = np.random.default_rng(3)
    logits = (rng.standard_normal(5000) * spread).astype(np.float32)
    weight = np.exp(logits.astype(np.float64) - logits.max())
    order = np.argsort(-weight, kind="stable")
    size = int((np.cumsum(weight[order]) < top_p * weight.sum()).sum()) + 1
    allowed = set(order[:size].tolist())
    drawn = {sampling.draw(logits, replace(PLAIN, top_p=top_p), i) for i in range(60)}
    assert drawn <= allowed
